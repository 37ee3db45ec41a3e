/** Combines chunks into fewer, larger ones for callers who request it. */
import { type Cause, Effect, type Fiber, Queue, Stream } from "effect";

import type { GenerationChunk, GenerationEvent, TokenLogprob, ToolCallDelta } from "../domain/generation-result.ts";

export interface FlushOptions {
  /** Send a chunk when it holds this many tokens. */
  readonly flushTokens?: number;
  /** Send the held tokens after this long, however few; without `flushTokens`, the only condition. */
  readonly flushIntervalMs?: number;
}

/** How many events may wait for the reader; each is a chunk of many tokens. */
const waitingEvents = 16;

/**
 * Holds chunks back until they hold enough tokens or the oldest has waited long enough. Held tokens are sent before the
 * finished event, and also before a failure, because they were generated.
 */
export const coalesce =
  ({ flushTokens = Infinity, flushIntervalMs }: FlushOptions) =>
  <E>(events: Stream.Stream<GenerationEvent, E>): Stream.Stream<GenerationEvent, E> => {
    if (flushTokens === Infinity && flushIntervalMs === undefined) return events;
    return Stream.callback<GenerationEvent, E>(
      Effect.fnUntraced(function* (queue) {
        const scope = yield* Effect.scope;
        const chunks = new HeldChunks();
        let timer: Fiber.Fiber<void> | undefined;
        const flushOf = (candidateIndex?: number) =>
          Effect.suspend(() => {
            const taken = chunks.take(candidateIndex);
            if (chunks.empty) {
              timer?.interruptUnsafe();
              timer = undefined;
            }
            return taken.length === 0 ? Effect.void : Effect.asVoid(Queue.offerAll(queue, taken));
          });
        const flush = flushOf();
        // Forked, because the timer's own flush must not interrupt the fiber that it runs in.
        const flushLater = (delayMs: number) =>
          Effect.sleep(delayMs).pipe(
            Effect.andThen(Effect.sync(() => (timer = undefined))),
            Effect.andThen(flush),
            Effect.forkIn(scope),
          );
        yield* Stream.runForEach(
          events,
          Effect.fnUntraced(function* (event) {
            if (event.type !== "chunk") {
              yield* flush;
              return yield* Effect.asVoid(Queue.offer(queue, event));
            }
            if (chunks.add(event) >= flushTokens) return yield* flushOf(event.candidateIndex);
            if (timer === undefined && flushIntervalMs !== undefined) timer = yield* flushLater(flushIntervalMs);
          }),
        ).pipe(
          Effect.matchCauseEffect({
            onSuccess: () => Effect.andThen(flush, Queue.end(queue)),
            onFailure: (cause: Cause.Cause<E>) => Effect.andThen(flush, Queue.failCause(queue, cause)),
          }),
        );
      }),
      { bufferSize: waitingEvents },
    );
  };

/** Combines the chunks of each candidate into one. */
class HeldChunks {
  readonly #held = new Map<number, Held>();
  /** How many output tokens of each candidate were sent. */
  readonly #sent = new Map<number, number>();

  /** Returns how many tokens of its candidate are held now. */
  add({ candidateIndex, text, reasoning, toolCalls, tokenIds, logprobs, outputTokens }: GenerationChunk): number {
    const held = this.#held.get(candidateIndex) ?? createHeld();
    this.#held.set(candidateIndex, held);
    held.text += text;
    held.reasoning += reasoning;
    held.toolCalls.push(...toolCalls);
    for (const id of tokenIds) held.tokenIds.push(id);
    for (const logprob of logprobs) held.logprobs.push(logprob);
    held.outputTokens = outputTokens;
    return outputTokens - (this.#sent.get(candidateIndex) ?? 0);
  }

  /** Removes and returns what is held, of one candidate or of all. */
  take(only?: number): ReadonlyArray<GenerationChunk> {
    const chunks: GenerationChunk[] = [];
    for (const [candidateIndex, held] of this.#held) {
      if (only !== undefined && candidateIndex !== only) continue;
      chunks.push({ type: "chunk", candidateIndex, ...held });
      this.#sent.set(candidateIndex, held.outputTokens);
      this.#held.delete(candidateIndex);
    }
    return chunks;
  }

  get empty(): boolean {
    return this.#held.size === 0;
  }
}

interface Held {
  text: string;
  reasoning: string;
  readonly toolCalls: ToolCallDelta[];
  readonly tokenIds: number[];
  readonly logprobs: TokenLogprob[];
  outputTokens: number;
}

const createHeld = (): Held => ({
  text: "",
  reasoning: "",
  toolCalls: [],
  tokenIds: [],
  logprobs: [],
  outputTokens: 0,
});
