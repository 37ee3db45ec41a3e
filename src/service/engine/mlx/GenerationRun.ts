/** One request on its way through engine processes: what is sent, and what comes back, also when it is computed once more. */
import { Exit } from "effect";

import { AdapterBroken, EngineLost, InsufficientMemory, InvalidField } from "../../domain/errors.ts";
import type { SequenceEvent, SubmitMessage, TokenLogprobs } from "../../worker/protocol.ts";
import type { EngineFailure, TokenEvent, TokenRequest, TokensEnd } from "../Engine.ts";
import type { EngineRun, RunContext, RunEnd } from "./EngineRun.ts";

export class GenerationRun implements EngineRun {
  private readonly request: TokenRequest;
  /** Another one when it is given to a process once more. */
  sequence: number;
  /** Processes that died while they had it. */
  deaths = 0;
  /** Tokens that were taken in, whichever process they came from. */
  private readonly taken: number[] = [];
  /** How many of them the process that has it now has come to as well. */
  private repeated = 0;
  /** Tokens that were drafted, until they are told. */
  private drafted = 0;
  /** As far as the process that has it now has told. */
  private prompt: (TokenLogprobs | undefined)[] = [];
  private promptTold = false;
  private readonly emit: (event: TokenEvent) => boolean;

  /** @param emit returns whether the output is complete */
  constructor(request: TokenRequest, sequence: number, emit: (event: TokenEvent) => boolean) {
    this.request = request;
    this.sequence = sequence;
    this.emit = emit;
  }

  get id(): string {
    return this.request.id;
  }

  receive(event: SequenceEvent, context: RunContext): RunEnd | undefined {
    switch (event.type) {
      case "admitted":
        this.admit(event.cachedPromptTokens);
        return undefined;
      case "prompt":
        this.promptLogprobs(event.logprobs);
        return undefined;
      case "drafted":
        this.draft(event.tokens);
        return undefined;
      case "token":
        return this.receiveToken(event, context);
      case "finished":
        this.end(event.reason);
        return { exit: Exit.void, isComputing: false };
      case "unconstrainable": {
        // Only calls that have to be made may have the marks of calls.
        const field = this.request.constraint?.markers === true ? "task.chat.tools" : "task.constraint";
        return failed(new InvalidField({ violations: [{ field, description: event.reason }] }));
      }
      case "refused":
        return failed(new InsufficientMemory({ neededBytes: event.neededBytes, availableBytes: event.availableBytes }));
      case "adapter-failed": {
        const adapter = this.request.adapter?.id ?? "";
        return failed(new AdapterBroken({ adapter, model: context.model, cause: event.reason }));
      }
      case "progress":
      case "embedding":
        return undefined;
    }
  }

  /** A token that the caller has, or is to have, from a process before is passed over. */
  private receiveToken(
    { tokenId, logprobs, drafted }: Extract<SequenceEvent, { type: "token" }>,
    { model, mayDeliver }: RunContext,
  ): RunEnd | undefined {
    const found = this.repeats(tokenId);
    if (found === "other") {
      return { exit: Exit.fail(new EngineLost({ model, deaths: this.deaths })), isComputing: true };
    }
    if (found === "same" || !mayDeliver()) return undefined;
    return this.token(tokenId, logprobs, drafted) ? { exit: Exit.void, isComputing: true } : undefined;
  }

  cancel(): void {
    this.end("cancelled");
  }

  get submission(): SubmitMessage {
    const {
      parameters,
      logitBias,
      promptTokenIds,
      topLogprobs,
      promptLogprobs,
      timeBudgetMs,
      scheduling,
      reasoningLimit,
      constraint,
      cache,
      adapter,
    } = this.request;
    return {
      type: "submit",
      sequence: this.sequence,
      promptTokenIds,
      sampling: samplingOf(parameters, logitBias),
      maxOutputTokens: parameters.maxOutputTokens,
      minOutputTokens: parameters.minOutputTokens,
      stopTokenIds: parameters.stopTokenIds,
      timeBudgetMs,
      scheduling,
      reasoningLimit,
      ...(constraint !== undefined && { constraint }),
      topLogprobs,
      promptLogprobs,
      cache: {
        read: cache.mode !== "bypass",
        write: cache.mode === "read-write",
        partition: cache.partition,
        ...(cache.stablePrefixTokens !== undefined && { stablePrefixTokens: cache.stablePrefixTokens }),
      },
      ...(adapter !== undefined && { adapter: { key: adapter.revision, directory: adapter.directory } }),
    };
  }

  /** Whether something of it went out: then it cannot be computed once more. */
  get streamed(): boolean {
    return this.request.whole !== true && this.taken.length > 0;
  }

  /** By each process that computes it. */
  admit(cachedPromptTokens: number): void {
    this.emit({ type: "admitted", cachedPromptTokens });
    this.repeated = 0;
    this.prompt = [];
    this.drafted = 0;
    this.promptLogprobs([undefined]);
  }

  /** Takes in what is known of the prompt's next tokens: of the first nothing. Told once it is known of all. */
  promptLogprobs(logprobs: ReadonlyArray<TokenLogprobs | undefined>): void {
    const { promptTokenIds, promptLogprobs } = this.request;
    if (!promptLogprobs || this.promptTold) return;
    this.prompt.push(...logprobs.slice(0, promptTokenIds.length - this.prompt.length));
    if (this.prompt.length < promptTokenIds.length) return;
    this.promptTold = true;
    this.emit({ type: "prompt", logprobs: this.prompt });
  }

  /** So many tokens were drafted, and are told with the next one. */
  draft(tokens: number): void {
    this.drafted += tokens;
  }

  /**
   * Whether a token is one that was taken in before, from a process that died: a seed gives the same text again.
   * `other`: it does not, as rounding differed, and the output cannot be gone on with.
   */
  repeats(tokenId: number): "new" | "same" | "other" {
    const before = this.taken[this.repeated];
    if (before === undefined) return "new";
    this.repeated += 1;
    this.drafted = 0;
    return before === tokenId ? "same" : "other";
  }

  /** Takes a token in; true when the output ends with it, by a stop sequence or at the turn of somebody else. */
  token(tokenId: number, logprobs?: TokenLogprobs, wasDrafted = false): boolean {
    this.taken.push(tokenId);
    this.repeated = this.taken.length;
    const { drafted } = this;
    this.drafted = 0;
    const drafts = drafted > 0 || wasDrafted ? { drafted, accepted: wasDrafted ? 1 : 0 } : undefined;
    return this.emit({ type: "token", tokenId, logprobs, drafts });
  }

  /** The worker says that it is the end. */
  end(reason: TokensEnd): void {
    this.emit({ type: "finished", reason });
  }
}

const failed = (failure: EngineFailure): RunEnd => ({ exit: Exit.fail(failure), isComputing: false });

/** By name: what a generation runs with is more than how its tokens are chosen. */
const samplingOf = (
  {
    temperature,
    topP,
    topK = 0,
    minP,
    repetitionPenalty,
    presencePenalty,
    frequencyPenalty,
    seed,
  }: TokenRequest["parameters"],
  logitBias: TokenRequest["logitBias"],
): SubmitMessage["sampling"] => ({
  temperature,
  topP,
  topK,
  minP,
  repetitionPenalty,
  presencePenalty,
  frequencyPenalty,
  logitBias,
  seed,
});
