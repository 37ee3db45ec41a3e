/** One request on its way through an engine process: ids in, text events out. */
import { Exit } from "effect";

import { AdapterBroken, EngineLost, InsufficientMemory, InvalidField } from "../../domain/errors.ts";
import type { OutputWarning, StopMatch, TokenLogprob } from "../../domain/generation.ts";
import { OutputReader, type OutputStep } from "../../output/OutputReader.ts";
import { markersFor } from "../../output/parser.ts";
import { asToken } from "../../output/token-marks.ts";
import { createDetokenizer } from "../../prompt/detokenizer.ts";
import type { Vocabulary } from "../../prompt/Vocabulary.ts";
import type { SequenceEnd, SequenceEvent, SubmitMessage, TokenLogprobs } from "../../worker/protocol.ts";
import type { EngineEvent, EngineFailure, EngineRequest } from "../Engine.ts";
import type { EngineRun, RunContext, RunEnd } from "./EngineRun.ts";
import { describeLogprobs } from "./token-logprobs.ts";

export class GenerationRun implements EngineRun {
  private readonly request: EngineRequest;
  /** Another one when it is given to a process once more. */
  sequence: number;
  /** Processes that died while they had it. */
  deaths = 0;
  private admitted = false;
  /** Tokens that were taken in, whichever process they came from. */
  private readonly taken: number[] = [];
  /** How many of them the process that has it now has come to as well. */
  private repeated = 0;
  private cachedPromptTokens = 0;
  /** Tokens that were drafted, until they are told. */
  private drafted = 0;
  /** As far as the process that has it now has told. */
  private prompt: TokenLogprob[] = [];
  private promptTold = false;
  private readonly emit: (event: EngineEvent) => void;
  private readonly vocabulary: Vocabulary;
  private readonly detokenizer: ReturnType<typeof createDetokenizer>;
  private readonly reader: OutputReader;
  /** Special tokens that were left out of the text. */
  private readonly leftOut = new Set<string>();

  constructor(request: EngineRequest, sequence: number, vocabulary: Vocabulary, emit: (event: EngineEvent) => void) {
    this.request = request;
    this.sequence = sequence;
    this.emit = emit;
    this.vocabulary = vocabulary;
    const { reading, parameters, includeStopInOutput: includeStop } = request;
    const { specials } = vocabulary;
    const stops =
      request.stops ?? parameters.stopSequences.map((text) => ({ text, inText: "always" as const, isModels: false }));
    const markers = markersFor(reading);
    this.reader = new OutputReader({ reading, stops, includeStop, specials });
    this.detokenizer = createDetokenizer(vocabulary, (piece, tokenId) => {
      if (this.reader.watches(piece)) return asToken(piece);
      if (reading.verbatim === true) return piece;
      if (markers.has(piece)) return reading.spelled === true ? piece : asToken(piece);
      // An end that the task wants to go on after is no surprise, and of reasoning nothing is told.
      const isAskedFor = request.eosTokenIds.includes(tokenId) || this.reader.inReasoning;
      if (!isAskedFor) this.leftOut.add(piece);
      return "";
    });
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

  /** A replay is admitted again, which the caller need not know. */
  admit(cachedPromptTokens: number): void {
    this.cachedPromptTokens = cachedPromptTokens;
    if (!this.admitted) this.emit({ type: "admitted", cachedPromptTokens });
    this.admitted = true;
    this.repeated = 0;
    this.prompt = [];
    this.drafted = 0;
    this.promptLogprobs([undefined]);
  }

  /** Takes in what is known of the prompt's next tokens: of the first nothing. Told once it is known of all. */
  promptLogprobs(logprobs: ReadonlyArray<TokenLogprobs | undefined>): void {
    const { promptTokenIds, promptLogprobs } = this.request;
    if (!promptLogprobs || this.promptTold) return;
    const following = promptTokenIds.slice(this.prompt.length, this.prompt.length + logprobs.length);
    for (const [index, id] of following.entries()) {
      this.prompt.push(describeLogprobs(this.vocabulary, id, logprobs[index]));
    }
    if (this.prompt.length < promptTokenIds.length) return;
    this.promptTold = true;
    this.emit({ type: "prompt", tokens: this.prompt });
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
    const ends = this.request.parameters.stopTokenIds.includes(tokenId);
    const wasReasoning = this.reader.inReasoning;
    const step = this.reader.push(ends ? "" : this.detokenizer.push(tokenId));
    this.taken.push(tokenId);
    this.repeated = this.taken.length;
    const { drafted } = this;
    this.drafted = 0;
    this.emitOutput(step, {
      tokens: 1,
      tokenIds: [tokenId],
      reasoningTokens: !ends && wasReasoning && this.reader.inReasoning ? 1 : 0,
      logprobs: logprobs === undefined ? [] : [describeLogprobs(this.vocabulary, tokenId, logprobs)],
      ...((drafted > 0 || wasDrafted) && { drafts: { drafted, accepted: wasDrafted ? 1 : 0 } }),
    });
    return this.stop(step);
  }

  /** The worker says that it is the end: what was held back goes out, and may still complete a stop sequence. */
  end(reason: SequenceEnd | "cancelled"): void {
    const step = this.reader.end(this.detokenizer.flush(), reason === "stop-token" ? this.endingToken : undefined);
    if (step.text !== "" || step.reasoning !== "" || step.toolCalls.length > 0) this.emitOutput(step, noTokens);
    if (this.stop(step)) return;
    switch (reason) {
      case "stop-token": {
        const isEos = this.request.eosTokenIds.includes(this.lastTokenId);
        if (isEos && this.reader.calls > 0) this.finish("tool-calls", undefined);
        else this.finish(isEos ? "end-of-sequence" : "stop-token", { type: "token", tokenId: this.lastTokenId });
        break;
      }
      case "constraint-complete":
        this.finish(this.reader.calls > 0 ? "tool-calls" : reason, undefined);
        break;
      case "max-output-tokens":
        this.finish(this.request.fillsContext ? "context-length" : "max-output-tokens", undefined);
        break;
      case "time-budget":
      case "cancelled":
        this.finish(reason, undefined);
        break;
    }
  }

  /** The last token as it is spelled, where a stop sequence has it. */
  private get endingToken(): string | undefined {
    const piece = this.vocabulary.piece(this.lastTokenId) ?? "";
    return this.vocabulary.isSpecial(this.lastTokenId) && this.reader.watches(piece) ? piece : undefined;
  }

  private get lastTokenId(): number {
    return this.taken.at(-1) ?? -1;
  }

  private emitOutput({ text, reasoning, toolCalls }: OutputStep, tokens: TokensOfStep): void {
    this.emit({ type: "output", text, reasoning, toolCalls, ...tokens });
  }

  private stop({ stopped, ownTurn }: OutputStep): boolean {
    if (stopped === undefined) return false;
    // A model that called tools may go on with what they could answer.
    if (!ownTurn && this.reader.calls > 0) this.finish("tool-calls", undefined);
    else this.finish("stop-sequence", { type: "stop-sequence", text: stopped });
    return true;
  }

  private finish(reason: Extract<EngineEvent, { type: "finished" }>["reason"], matched: StopMatch | undefined): void {
    const { cachedPromptTokens } = this;
    const warnings = [...this.reader.warnings, ...this.leftOutWarnings()];
    this.emit({ type: "finished", reason, matched, cachedPromptTokens, warnings });
  }

  private leftOutWarnings(): ReadonlyArray<OutputWarning> {
    const leftOut = new Set([...this.leftOut, ...this.reader.leftOut]);
    if (leftOut.size === 0) return [];
    const tokens = [...leftOut].slice(0, 8).join(" ");
    return [{ kind: "markers-removed", message: `special tokens were left out of the text: ${tokens.slice(0, 200)}` }];
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
  }: EngineRequest["parameters"],
  logitBias: EngineRequest["logitBias"],
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

type TokensOfStep = Pick<
  Extract<EngineEvent, { type: "output" }>,
  "tokens" | "tokenIds" | "reasoningTokens" | "drafts" | "logprobs"
>;

const noTokens: TokensOfStep = { tokens: 0, tokenIds: [], reasoningTokens: 0, logprobs: [] };
