/** Fewer and larger chunks for callers who asked for them. */
import { type Cause, Effect, type Fiber, Queue, Stream } from "effect";

import type { GenerationChunk, GenerationEvent, ToolCallDelta } from "../domain/generation.ts";

export interface FlushOptions {
  /** Send a chunk once it holds this many tokens. */
  readonly flushTokens?: number;
  /** Send what there is after this long, however few tokens; without `flushTokens` the only occasion. */
  readonly flushIntervalMs?: number;
}

/** Events that wait for the reader before the engine has to; each is a chunk of many tokens. */
const waitingEvents = 16;

/**
 * Holds chunks back until they hold enough tokens or the first of them has waited long enough. What is held is sent
 * before the finished event, and also before a failure: those tokens were generated.
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
        const flush = Effect.suspend(() => {
          timer?.interruptUnsafe();
          timer = undefined;
          const chunk = chunks.take();
          return chunk === undefined ? Effect.void : Effect.asVoid(Queue.offer(queue, chunk));
        });
        // The timer's own flush must not end the fiber that it runs in.
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
            if (chunks.add(event) >= flushTokens) return yield* flush;
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

/** Chunks that become one. */
class HeldChunks {
  #text = "";
  #reasoning = "";
  #toolCalls: ToolCallDelta[] = [];
  #tokenIds: number[] = [];
  #outputTokens = 0;
  #sentTokens = 0;
  #empty = true;

  /** Returns how many tokens are held now. */
  add({ text, reasoning, toolCalls, tokenIds, outputTokens }: GenerationChunk): number {
    this.#text += text;
    this.#reasoning += reasoning;
    this.#toolCalls.push(...toolCalls);
    for (const id of tokenIds) this.#tokenIds.push(id);
    this.#outputTokens = outputTokens;
    this.#empty = false;
    return outputTokens - this.#sentTokens;
  }

  take(): GenerationChunk | undefined {
    if (this.#empty) return undefined;
    const chunk: GenerationChunk = {
      type: "chunk",
      text: this.#text,
      reasoning: this.#reasoning,
      toolCalls: this.#toolCalls,
      tokenIds: this.#tokenIds,
      outputTokens: this.#outputTokens,
    };
    this.#text = "";
    this.#reasoning = "";
    this.#toolCalls = [];
    this.#tokenIds = [];
    this.#sentTokens = this.#outputTokens;
    this.#empty = true;
    return chunk;
  }
}
