/** A generation from the worker's point of view: token ids in, token ids out. */
import type { SequenceEnd } from "../protocol/sequence-events.ts";
import type {
  AdapterSource,
  EmbeddingRequest,
  SequenceCachePolicy,
  SubmitMessage,
} from "../protocol/submit-message.ts";
import type { SamplingRow } from "../sampling/sampling.ts";

/**
 * Why a constraint can no longer be enforced. `stuck`: no token of the vocabulary can follow. `too-hard`: the allowed
 * tokens were not computed in time. `failed`: a bug.
 */
export type Unfit = "stuck" | "too-hard" | "failed";

export class Sequence implements SamplingRow {
  readonly id: number;
  readonly promptTokenIds: ReadonlyArray<number>;
  readonly sampling: SubmitMessage["sampling"];
  readonly cache: SequenceCachePolicy;
  readonly topLogprobs: number | undefined;
  readonly promptLogprobs: boolean;
  readonly adapter: AdapterSource | undefined;
  /** When its turn is due, in seconds. */
  readonly turn: number;
  readonly fairnessId: string;
  /** Whether it rests while the prompt of another one that is not is computed. */
  readonly background: boolean;
  /** Set if only an embedding of the prompt is requested and nothing is generated. */
  readonly embedding: EmbeddingRequest | undefined;
  /** The slot of its adapter; 0 if it has none or waits for it. */
  adapterSlot = 0;
  readonly outputTokenIds: number[] = [];
  /** How many output tokens the device has chosen; the last one may not have been read yet. */
  chosenTokens = 0;
  cancelled = false;
  /** Forced tokens, which come next whatever the model would choose. */
  readonly forced: number[] = [];
  readonly stopIds: ReadonlySet<number>;
  /** Set when its constraint is fulfilled or can no longer be enforced. */
  bound: "fulfilled" | Unfit | undefined;
  private reasoningSettled = false;
  private readonly request: SubmitMessage;
  private readonly expiresAt: number;

  /** @param now milliseconds of a monotonic clock */
  constructor(request: SubmitMessage, now: number) {
    this.request = request;
    this.id = request.sequence;
    this.promptTokenIds = request.promptTokenIds;
    this.sampling = request.sampling;
    this.adapter = request.adapter;
    this.turn = request.scheduling.turn;
    this.fairnessId = request.scheduling.fairnessId;
    this.background = request.scheduling.background === true;
    this.embedding = request.embedding;
    // Keys and values depend on the adapter, so the partition includes it.
    this.cache = { ...request.cache, partition: `${request.adapter?.key ?? ""}:${request.cache.partition}` };
    this.topLogprobs = request.topLogprobs;
    this.promptLogprobs = request.promptLogprobs;
    this.stopIds = new Set(request.stopTokenIds);
    this.expiresAt = now + (request.timeBudgetMs ?? Number.POSITIVE_INFINITY);
  }

  /** The prompt and the output that has been read. */
  get tokenIds(): ReadonlyArray<number> {
    return [...this.promptTokenIds, ...this.outputTokenIds];
  }

  /** The most tokens that it may ever hold, prompt and output. */
  get maxTokens(): number {
    return this.promptTokenIds.length + this.request.maxOutputTokens;
  }

  /** How many tokens may still be chosen. */
  get remainingTokens(): number {
    return this.request.maxOutputTokens - this.chosenTokens;
  }

  /** Whether the device has chosen the last token that is allowed. */
  get exhausted(): boolean {
    return this.chosenTokens >= this.request.maxOutputTokens;
  }

  get forbidden(): ReadonlyArray<number> {
    return this.forbiddenAfter(this.chosenTokens);
  }

  /** Tokens that must not follow this many output tokens. */
  forbiddenAfter(outputTokens: number): ReadonlyArray<number> {
    // In a constrained sequence reasoning cannot end the output, and after it the constraint decides where the output
    // may end.
    const mayStop = outputTokens >= this.request.minOutputTokens && this.request.constraint?.reasoning === undefined;
    return mayStop ? [] : this.request.stopTokenIds;
  }

  /** Whether the device has chosen a token that was not read yet. */
  get unread(): boolean {
    return this.chosenTokens > this.outputTokenIds.length;
  }

  /**
   * How many tokens may be drafted after the last one: one more is chosen beside them, and no token that may be forced
   * is drafted.
   */
  get draftRoom(): number {
    const { reasoningLimit: limit } = this.request;
    const room = this.remainingTokens - 1;
    if (this.forced.length > 0) return 0;
    if (limit === undefined || this.reasoningSettled) return Math.max(0, room);
    return Math.max(0, Math.min(room, limit.openTokenIds.length + limit.maxTokens - 1 - this.chosenTokens));
  }

  /** Whether the next token is the first that may no longer be reasoning. */
  get atReasoningLimit(): boolean {
    const { reasoningLimit: limit } = this.request;
    return (
      limit !== undefined && !this.reasoningSettled && this.chosenTokens >= limit.openTokenIds.length + limit.maxTokens
    );
  }

  /**
   * Closes the reasoning if it is still open; once, at the limit.
   *
   * @param unread the token that the device has chosen and that was not read yet, if there is one
   */
  closeReasoningAtLimit(unread: number | undefined): void {
    const { reasoningLimit: limit } = this.request;
    this.reasoningSettled = true;
    if (limit === undefined) return;
    const { openTokenIds: open, closeTokenIds: close, answerTokenIds } = limit;
    const output = unread === undefined ? this.outputTokenIds : [...this.outputTokenIds, unread];
    if (open.some((id, index) => output[index] !== id)) return;
    const reasoning = output.slice(open.length);
    const startsAt = (at: number): boolean => close.every((id, index) => reasoning[at + index] === id);
    if (reasoning.some((_, at) => startsAt(at))) return;
    const begun = close.findLastIndex((_, index) => index > 0 && endsWith(reasoning, close.slice(0, index)));
    this.forced.push(...close.slice(Math.max(0, begun)), ...answerTokenIds);
  }

  /** The forced token that comes next. Called once for each token that is chosen. */
  takeForced(): number | undefined {
    return this.forced.shift();
  }

  expired(now: number): boolean {
    return now >= this.expiresAt;
  }

  /** Adds a token that was read from the device. Returns how the sequence ends if it is the last. */
  accept(tokenId: number): SequenceEnd | undefined {
    this.outputTokenIds.push(tokenId);
    if (this.stopIds.has(tokenId) && this.outputTokenIds.length > this.request.minOutputTokens) return "stop-token";
    if (this.bound === "fulfilled") return "constraint-complete";
    return this.outputTokenIds.length >= this.request.maxOutputTokens ? "max-output-tokens" : undefined;
  }
}

const endsWith = (ids: ReadonlyArray<number>, tail: ReadonlyArray<number>): boolean =>
  tail.every((id, index) => ids[ids.length - tail.length + index] === id);
