/** A generation as the worker sees it: token ids in, token ids out. */
import type { SequenceCachePolicy, SequenceEnd, SubmitMessage } from "./protocol.ts";
import type { SamplingRow } from "./sampling.ts";

export class Sequence implements SamplingRow {
  readonly id: number;
  readonly promptTokenIds: ReadonlyArray<number>;
  readonly sampling: SubmitMessage["sampling"];
  readonly cache: SequenceCachePolicy;
  readonly topLogprobs: number | undefined;
  readonly promptLogprobs: boolean;
  readonly outputTokenIds: number[] = [];
  /** Tokens chosen by the device, of which the last may not have been read yet. */
  drawn = 0;
  cancelled = false;
  private readonly request: SubmitMessage;
  private readonly stopTokenIds: ReadonlySet<number>;
  private readonly expiresAt: number;

  /** @param now milliseconds of a monotonic clock */
  constructor(request: SubmitMessage, now: number) {
    this.request = request;
    this.id = request.sequence;
    this.promptTokenIds = request.promptTokenIds;
    this.sampling = request.sampling;
    this.cache = request.cache;
    this.topLogprobs = request.topLogprobs;
    this.promptLogprobs = request.promptLogprobs;
    this.stopTokenIds = new Set(request.stopTokenIds);
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
    return this.request.maxOutputTokens - this.drawn;
  }

  /** Whether the device has chosen as many tokens as there may be. */
  get exhausted(): boolean {
    return this.drawn >= this.request.maxOutputTokens;
  }

  get forbidden(): ReadonlyArray<number> {
    return this.drawn < this.request.minOutputTokens ? this.request.stopTokenIds : [];
  }

  expired(now: number): boolean {
    return now >= this.expiresAt;
  }

  /** Takes a token in that was read from the device; tells whether it is the last. */
  accept(tokenId: number): SequenceEnd | undefined {
    this.outputTokenIds.push(tokenId);
    if (this.stopTokenIds.has(tokenId) && this.outputTokenIds.length > this.request.minOutputTokens)
      return "stop-token";
    return this.outputTokenIds.length >= this.request.maxOutputTokens ? "max-output-tokens" : undefined;
  }
}
