/** The state of one running generation. It turns the engine's events into the caller's events and counts usage. */
import type { GenerationEvent, TokenLogprob } from "../domain/generation-result.ts";
import type { EffectiveParameters } from "../domain/generation-task.ts";
import type { ServedModel } from "../domain/model.ts";
import type { Usage } from "../domain/usage.ts";
import type { EndUsage, EngineEvent } from "../engine/Engine.ts";

type EngineFinished = Extract<EngineEvent, { type: "finished" }>;
type EngineOutput = Extract<EngineEvent, { type: "output" }>;

interface RecordOptions {
  readonly id: string;
  readonly facts: ServedModel;
  readonly parameters: EffectiveParameters;
  /** Undefined if the engine makes the prompt and reports its length. */
  readonly promptTokens: number | undefined;
  /** Whether the engine will report the prompt's logprobs. The `started` event carries them. */
  readonly promptLogprobs: boolean;
  /** Prefix of every candidate's text: the echoed prompt, or empty. */
  readonly echo: string;
  /** Whether reasoning is separated from the answer. If so, its tokens are counted. */
  readonly reasons: boolean;
  readonly candidateCount: number;
  /** Like all times here, in milliseconds of the monotonic clock (domain/elapsed.ts). */
  readonly receivedAt: number;
  /** Called when the engine has admitted the first candidate. */
  readonly onBegun: () => void;
  readonly emit: (event: GenerationEvent) => void;
}

interface Candidate {
  admittedAt: number | undefined;
  firstTokenAt: number | undefined;
  outputTokens: number;
  reasoningTokens: number;
  /** Whether the counts so far are estimates. */
  estimated: boolean;
  /** Tokens of output that the caller did not get. They still count as usage. */
  withheldTokens: number;
  withheldReasoningTokens: number;
  draftedTokens: number;
  acceptedDraftTokens: number;
}

export class GenerationRecord {
  readonly id: string;
  /** Whether CancelGeneration ended it. */
  cancelled = false;
  /** Whether any output was sent to the caller. */
  hasEmitted = false;
  private readonly options: RecordOptions;
  private readonly candidates: ReadonlyArray<Candidate>;
  private started = false;
  /** Cached prompt tokens of the first candidate; the other candidates reuse its prompt. */
  private cachedPromptTokens = 0;
  private promptTokens: number;
  private prompt: ReadonlyArray<TokenLogprob> = [];
  private parameters: EffectiveParameters;

  constructor(options: RecordOptions) {
    this.id = options.id;
    this.parameters = options.parameters;
    this.options = options;
    this.promptTokens = options.promptTokens ?? 0;
    this.candidates = Array.from({ length: options.candidateCount }, () => ({
      admittedAt: undefined,
      firstTokenAt: undefined,
      outputTokens: 0,
      reasoningTokens: 0,
      estimated: false,
      withheldTokens: 0,
      withheldReasoningTokens: 0,
      draftedTokens: 0,
      acceptedDraftTokens: 0,
    }));
  }

  /** Over all candidates; the prompt counts once. */
  get usage(): Usage {
    return this.usageOf(this.candidates);
  }

  onEngineEvent(candidateIndex: number, event: EngineEvent, now: number): void {
    const candidate = this.candidateAt(candidateIndex);
    switch (event.type) {
      case "admitted":
        this.options.onBegun();
        candidate.admittedAt = now;
        candidate.estimated = event.estimated ?? false;
        if (candidateIndex === 0) this.cachedPromptTokens = event.cachedPromptTokens;
        this.promptTokens = this.options.promptTokens ?? event.promptTokens ?? 0;
        if (event.parameters !== undefined && candidateIndex === 0) this.parameters = event.parameters;
        if (!this.options.promptLogprobs) this.start();
        break;
      case "prompt":
        this.prompt = event.tokens;
        this.start();
        break;
      case "output": {
        const { tokens, reasoningTokens, drafts, ...output } = event;
        this.start();
        if (tokens > 0) candidate.firstTokenAt ??= now;
        candidate.outputTokens += tokens;
        candidate.reasoningTokens += reasoningTokens;
        candidate.draftedTokens += drafts?.drafted ?? 0;
        candidate.acceptedDraftTokens += drafts?.accepted ?? 0;
        const { outputTokens } = candidate;
        this.hasEmitted = true;
        this.options.emit({ ...output, type: "chunk", candidateIndex, outputTokens });
        break;
      }
      case "finished":
        // It ended before admission, or before its prompt was computed. `started` still comes before `finished`.
        this.start();
        if (candidateIndex === 0) this.cachedPromptTokens = event.cachedPromptTokens;
        if (event.usage !== undefined) this.count(candidate, event.usage);
        this.finish(candidateIndex, candidate, event, now);
        break;
    }
  }

  private count(candidate: Candidate, { promptTokens, outputTokens, reasoningTokens, estimated }: EndUsage): void {
    this.promptTokens = promptTokens;
    candidate.outputTokens = outputTokens;
    candidate.reasoningTokens = reasoningTokens;
    candidate.estimated = estimated;
  }

  /** Counts output that is held back or discarded. */
  withhold(candidateIndex: number, output: EngineOutput): void {
    this.countWithheld(candidateIndex, output, 1);
  }

  /** Undoes `withhold` for output that is sent after all, by the event that follows. */
  unhold(candidateIndex: number, output: EngineOutput): void {
    this.countWithheld(candidateIndex, output, -1);
  }

  /** Emits `started` again with another seed. The last `started` event counts. */
  startAnew(seed: number): void {
    this.emitStarted({ ...this.parameters, seed });
  }

  private countWithheld(index: number, { tokens, reasoningTokens, drafts }: EngineOutput, by: 1 | -1): void {
    const candidate = this.candidateAt(index);
    candidate.withheldTokens += by * tokens;
    candidate.withheldReasoningTokens += by * reasoningTokens;
    candidate.draftedTokens += by * (drafts?.drafted ?? 0);
    candidate.acceptedDraftTokens += by * (drafts?.accepted ?? 0);
  }

  private candidateAt(index: number): Candidate {
    const candidate = this.candidates[index];
    if (candidate === undefined) throw new RangeError(`there is no candidate ${index}`);
    return candidate;
  }

  private start(): void {
    if (this.started) return;
    this.started = true;
    const { echo, emit } = this.options;
    this.emitStarted(this.parameters);
    if (echo === "") return;
    const nothing = { reasoning: "", toolCalls: [], tokenIds: [], logprobs: [], outputTokens: 0 };
    for (const candidateIndex of this.candidates.keys()) {
      emit({ type: "chunk", candidateIndex, text: echo, ...nothing });
    }
  }

  private emitStarted(parameters: EffectiveParameters): void {
    const { facts, emit } = this.options;
    const { promptTokens } = this;
    emit({
      type: "started",
      generationId: this.id,
      model: facts.id,
      modelRevision: facts.revision,
      promptTokens,
      cachedPromptTokens: this.cachedPromptTokens,
      parameters,
      prompt: this.prompt,
    });
  }

  private finish(
    candidateIndex: number,
    candidate: Candidate,
    { reason: finishReason, matched, warnings }: EngineFinished,
    now: number,
  ): void {
    this.cancelled ||= finishReason === "cancelled";
    const beganAt = candidate.admittedAt ?? now;
    const decodedFrom = candidate.firstTokenAt ?? now;
    this.options.emit({
      type: "finished",
      candidateIndex,
      finishReason,
      matched,
      usage: {
        ...this.usageOf([candidate]),
        ...(candidate.withheldTokens > 0 && { discardedTokens: candidate.withheldTokens }),
      },
      timings: {
        queueMs: beganAt - this.options.receivedAt,
        timeToFirstTokenMs: decodedFrom - beganAt,
        decodeMs: now - decodedFrom,
        totalMs: now - this.options.receivedAt,
      },
      warnings,
    });
  }

  private usageOf(candidates: ReadonlyArray<Candidate>): Usage {
    const { promptTokens } = this;
    const { reasons } = this.options;
    const sum = (count: (candidate: Candidate) => number) =>
      candidates.reduce((total, candidate) => total + count(candidate), 0);
    const draftedTokens = sum((candidate) => candidate.draftedTokens);
    return {
      promptTokens,
      cachedPromptTokens: this.cachedPromptTokens,
      outputTokens: sum(({ outputTokens, withheldTokens }) => outputTokens + withheldTokens),
      ...(reasons && {
        reasoningTokens: sum(
          ({ reasoningTokens, withheldReasoningTokens }) => reasoningTokens + withheldReasoningTokens,
        ),
      }),
      ...(candidates.some(({ estimated }) => estimated) && { estimated: true }),
      ...(draftedTokens > 0 && {
        draftedTokens,
        acceptedDraftTokens: sum(({ acceptedDraftTokens }) => acceptedDraftTokens),
      }),
    };
  }
}
