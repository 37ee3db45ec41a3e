/** One generation in an engine process: its submission, its events, and its replay on another process. */
import { Exit } from "effect";

import { AdapterBroken, EngineLost, InsufficientMemory, InvalidField } from "../../domain/errors.ts";
import type { SequenceEvent, TokenLogprobs } from "../../worker/protocol/sequence-events.ts";
import type { SubmitMessage } from "../../worker/protocol/submit-message.ts";
import type { TokenEvent, TokenRequest, TokensEnd } from "../Engine.ts";
import type { EngineFailure } from "../engine-failures.ts";
import type { EngineRun, RunContext, RunEnd } from "./EngineRun.ts";

export class GenerationRun implements EngineRun {
  private readonly request: TokenRequest;
  /** Changes when the request is given to another process. */
  sequence: number;
  /** Number of processes that died while they had it. */
  deaths = 0;
  /** The output tokens so far, from all processes. */
  private readonly taken: number[] = [];
  /** How many of these tokens the current process has repeated. */
  private repeated = 0;
  /** Tokens drafted since the last token. */
  private drafted = 0;
  /** The prompt's logprobs that the current process has reported so far. */
  private prompt: (TokenLogprobs | undefined)[] = [];
  private promptTold = false;
  private readonly emit: (event: TokenEvent) => boolean;

  /** @param emit returns true if the output is complete */
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
        // Only the grammar of required tool calls contains markers.
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

  /** Skips tokens that an earlier process has computed already. */
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

  /** Whether output was delivered. Then it cannot be replayed. */
  get streamed(): boolean {
    return this.request.whole !== true && this.taken.length > 0;
  }

  /** Called for each process that admits it. */
  admit(cachedPromptTokens: number): void {
    this.emit({ type: "admitted", cachedPromptTokens });
    this.repeated = 0;
    this.prompt = [];
    this.drafted = 0;
    this.promptLogprobs([undefined]);
  }

  /** Collects logprobs of the prompt's next tokens (undefined for the first) and reports them when all are there. */
  promptLogprobs(logprobs: ReadonlyArray<TokenLogprobs | undefined>): void {
    const { promptTokenIds, promptLogprobs } = this.request;
    if (!promptLogprobs || this.promptTold) return;
    this.prompt.push(...logprobs.slice(0, promptTokenIds.length - this.prompt.length));
    if (this.prompt.length < promptTokenIds.length) return;
    this.promptTold = true;
    this.emit({ type: "prompt", logprobs: this.prompt });
  }

  /** Counts drafted tokens. They are reported with the next token. */
  draft(tokens: number): void {
    this.drafted += tokens;
  }

  /**
   * Compares a token with those of a process that died. With the same seed a replay gives the same tokens. `other`: it
   * does not, because rounding differed, and the output cannot be continued.
   */
  repeats(tokenId: number): "new" | "same" | "other" {
    const before = this.taken[this.repeated];
    if (before === undefined) return "new";
    this.repeated += 1;
    this.drafted = 0;
    return before === tokenId ? "same" : "other";
  }

  /** Reports a token. True if the output is complete with it. */
  token(tokenId: number, logprobs?: TokenLogprobs, wasDrafted = false): boolean {
    this.taken.push(tokenId);
    this.repeated = this.taken.length;
    const { drafted } = this;
    this.drafted = 0;
    const drafts = drafted > 0 || wasDrafted ? { drafted, accepted: wasDrafted ? 1 : 0 } : undefined;
    return this.emit({ type: "token", tokenId, logprobs, drafts });
  }

  /** Reports the end. */
  end(reason: TokensEnd): void {
    this.emit({ type: "finished", reason });
  }
}

const failed = (failure: EngineFailure): RunEnd => ({ exit: Exit.fail(failure), isComputing: false });

/** Field by field, because parameters contain more than sampling. */
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
