/** An engine without a model: it says what it is told to, and remembers what it was asked. */
import { Deferred, Effect, Stream } from "effect";

import type { Engine, EngineEvent, EngineRequest } from "../../src/service/engine/Engine.ts";
import type { EngineFailure } from "../../src/service/engine/engine-failures.ts";
import { noMemory } from "../../src/service/engine/EngineStatus.ts";

export interface ScriptedEngine extends Engine {
  /** In order of arrival. */
  readonly requests: ReadonlyArray<EngineRequest>;
  /** Ids of requests that were interrupted. */
  readonly dropped: ReadonlyArray<string>;
  /** Lets paused requests go on. */
  readonly resume: Effect.Effect<void>;
}

/**
 * A piece of text is one token; `token` is one without text; `pause` waits for `resume`, before the first token also
 * within the engine's own queue with `queued`; a failure ends the request with it.
 */
export type Script = ReadonlyArray<
  | string
  | { readonly token: number }
  | { readonly pause: true; readonly queued?: true }
  | { readonly fail: EngineFailure }
>;

/** @param script of every request, or of each by its number from 0 */
export const makeScriptedEngine = (script: Script | ((request: number) => Script)): Effect.Effect<ScriptedEngine> =>
  Effect.sync(() => {
    const gate = Deferred.makeUnsafe<void>();
    const requests: EngineRequest[] = [];
    const dropped: string[] = [];
    const live = new Map<string, (event: EngineEvent) => void>();
    const cancelled = new Map<string, Deferred.Deferred<void>>();
    const play = Effect.fnUntraced(function* (request: EngineRequest, onEvent: (event: EngineEvent) => void) {
      const parts = typeof script === "function" ? script(requests.length) : script;
      requests.push(request);
      live.set(request.id, onEvent);
      const [begin] = parts;
      if (typeof begin === "object" && "queued" in begin) yield* Deferred.await(gate);
      onEvent({ type: "admitted", cachedPromptTokens: 0 });
      let tokens = 0;
      for (const part of parts) {
        if (typeof part === "string" || "token" in part) {
          tokens += 1;
          const [text, tokenIds] = typeof part === "string" ? [part, [100 + tokens]] : ["", [part.token]];
          onEvent({
            type: "output",
            text,
            reasoning: "",
            toolCalls: [],
            tokens: tokenIds.length,
            tokenIds,
            reasoningTokens: 0,
            logprobs: [],
          });
          if (tokens >= request.parameters.maxOutputTokens) {
            onEvent({
              type: "finished",
              reason: "max-output-tokens",
              matched: undefined,
              cachedPromptTokens: 0,
              warnings: [],
            });
            return;
          }
        } else if ("pause" in part) yield* Deferred.await(gate);
        else return yield* Effect.fail(part.fail);
      }
      onEvent({
        type: "finished",
        reason: "end-of-sequence",
        matched: { type: "token", tokenId: 0 },
        cachedPromptTokens: 0,
        warnings: [],
      });
    });
    return {
      requests,
      dropped,
      resume: Effect.asVoid(Deferred.succeed(gate, undefined)),
      generate: (request, onEvent) =>
        Effect.suspend(() => {
          const end = Deferred.makeUnsafe<void>();
          cancelled.set(request.id, end);
          return Effect.raceFirst(play(request, onEvent), Deferred.await(end)).pipe(
            Effect.onInterrupt(() => Effect.sync(() => dropped.push(request.id))),
            Effect.ensuring(Effect.sync(() => live.delete(request.id))),
          );
        }),
      // A vector of the text's ids.
      embed: ({ promptTokenIds }, onAdmitted = () => {}) => {
        const [first] = typeof script === "function" ? [] : script;
        if (typeof first === "object" && "fail" in first) return Effect.fail(first.fail);
        if (typeof first !== "object" || !("queued" in first)) onAdmitted();
        const pause = typeof first === "object" && "pause" in first ? Deferred.await(gate) : Effect.void;
        return Effect.as(pause, Float32Array.from(promptTokenIds)).pipe(
          Effect.onInterrupt(() => Effect.sync(() => dropped.push(promptTokenIds.join()))),
        );
      },
      clearPrefixes: () => Effect.succeed({ entries: 0, bytes: 0 }),
      cancel: (id) =>
        Effect.suspend(() => {
          const onEvent = live.get(id);
          const end = cancelled.get(id);
          if (onEvent === undefined || end === undefined) return Effect.succeed(false);
          onEvent({ type: "finished", reason: "cancelled", matched: undefined, cachedPromptTokens: 0, warnings: [] });
          return Effect.as(Deferred.succeed(end, undefined), true);
        }),
      health: Stream.make("serving"),
      failure: Effect.never,
      status: Effect.succeed({
        ...noMemory,
        residentBytes: 1000,
        kvCacheBytes: 10,
        restarts: 0,
        device: "cpu",
        backend: undefined,
      }),
    };
  });
