/** A generation as the worker sees it: token ids in, token ids out. */
import type { AdapterSource, EmbeddingRequest, SequenceCachePolicy, SequenceEnd, SubmitMessage } from "../protocol.ts";
import type { SamplingRow } from "../sampling/sampling.ts";

/**
 * Why a constraint cannot be held to any longer. `stuck`: no token of the vocabulary goes on. `too-hard`: what may come next
 * was not found in time. `failed`: a fault of the program.
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
  /** Seconds: when its turn is due. */
  readonly turn: number;
  readonly fairnessId: string;
  /** Set where only the vector of the prompt is wanted: nothing is generated. */
  readonly embedding: EmbeddingRequest | undefined;
  /** Where the adapter is loaded; 0: it has none, or waits for it. */
  adapterSlot = 0;
  readonly outputTokenIds: number[] = [];
  /** How many output tokens the device has chosen; the last may not have been read yet. */
  chosenTokens = 0;
  cancelled = false;
  /** Tokens that come next, whatever the model would choose. */
  readonly forced: number[] = [];
  readonly stopIds: ReadonlySet<number>;
  /** Where its constraint has led it: to its end, or to where it cannot be held to. */
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
    this.embedding = request.embedding;
    // Keys and values are an adapter's own.
    this.cache = { ...request.cache, partition: `${request.adapter?.key ?? ""}:${request.cache.partition}` };
    this.topLogprobs = request.topLogprobs;
    this.promptLogprobs = request.promptLogprobs;
    this.stopIds = new Set(request.stopTokenIds);
    this.expiresAt = now + (request.timeBudgetMs ?? Number.POSITIVE_INFINITY);
  }

  /** Prompt and output as far as it is known on this side. */
  get tokenIds(): ReadonlyArray<number> {
    return [...this.promptTokenIds, ...this.outputTokenIds];
  }

  /** Tokens that it may come to hold, prompt and output. */
  get maxTokens(): number {
    return this.promptTokenIds.length + this.request.maxOutputTokens;
  }

  /** Tokens that may still be chosen. */
  get remainingTokens(): number {
    return this.request.maxOutputTokens - this.chosenTokens;
  }

  /** Whether the device has chosen as many tokens as there may be. */
  get exhausted(): boolean {
    return this.chosenTokens >= this.request.maxOutputTokens;
  }

  get forbidden(): ReadonlyArray<number> {
    return this.forbiddenAfter(this.chosenTokens);
  }

  /** Tokens that must not follow so many output tokens. */
  forbiddenAfter(outputTokens: number): ReadonlyArray<number> {
    // Reasoning does not end the output of a constrained sequence, and after it the constraint tells where it may end.
    const mayStop = outputTokens >= this.request.minOutputTokens && this.request.constraint?.reasoning === undefined;
    return mayStop ? [] : this.request.stopTokenIds;
  }

  /** Whether the device has chosen a token that was not read yet. */
  get unread(): boolean {
    return this.chosenTokens > this.outputTokenIds.length;
  }

  /** Tokens that may be drafted after the last: one more is chosen beside them, and none where it may be forced. */
  get draftRoom(): number {
    const { reasoningLimit: limit } = this.request;
    const room = this.remainingTokens - 1;
    if (this.forced.length > 0) return 0;
    if (limit === undefined || this.reasoningSettled) return Math.max(0, room);
    return Math.max(0, Math.min(room, limit.openTokenIds.length + limit.maxTokens - 1 - this.chosenTokens));
  }

  /** Whether the next token is the first that may not be reasoning any more. */
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

  /** The token that has to come next; taken once for each token that is chosen. */
  takeForced(): number | undefined {
    return this.forced.shift();
  }

  expired(now: number): boolean {
    return now >= this.expiresAt;
  }

  /** Takes a token in that was read from the device; tells whether it is the last. */
  accept(tokenId: number): SequenceEnd | undefined {
    this.outputTokenIds.push(tokenId);
    if (this.stopIds.has(tokenId) && this.outputTokenIds.length > this.request.minOutputTokens) return "stop-token";
    if (this.bound === "fulfilled") return "constraint-complete";
    return this.outputTokenIds.length >= this.request.maxOutputTokens ? "max-output-tokens" : undefined;
  }
}

const endsWith = (ids: ReadonlyArray<number>, tail: ReadonlyArray<number>): boolean =>
  tail.every((id, index) => ids[ids.length - tail.length + index] === id);
