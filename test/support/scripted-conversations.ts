/** A second kind of driver: an engine that takes conversations, makes the prompt itself and tells no tokens. */
import { Deferred, Effect, Stream } from "effect";

import type { ConversationOption } from "../../src/service/domain/conversation-options.ts";
import type { ServedModel } from "../../src/service/domain/model.ts";
import type { ConversationEngine, ConversationRequest, EngineEvent } from "../../src/service/engine/Engine.ts";
import type { EngineFailure } from "../../src/service/engine/engine-failures.ts";
import { noMemory } from "../../src/service/engine/EngineStatus.ts";
import type { ConversationDriver } from "../../src/service/engine/Engines.ts";
import { familyProfile } from "../../src/service/models/catalog/families.ts";
import type { ConversationModel } from "../../src/service/models/Models.ts";

type Output = Partial<Extract<EngineEvent, { type: "output" }>>;

/** What it says of every conversation: pieces, a wait for `cancel` or interruption, or a failure at the end. */
export interface ConversationScript {
  readonly promptTokens: number;
  readonly pieces: ReadonlyArray<Output>;
  readonly ends?: "waits" | EngineFailure;
}

export interface ScriptedConversations extends ConversationEngine {
  readonly requests: ReadonlyArray<ConversationRequest>;
  /** Ids of requests that were interrupted. */
  readonly dropped: ReadonlyArray<string>;
}

export const makeScriptedConversations = ({
  promptTokens,
  pieces,
  ends,
}: ConversationScript): ScriptedConversations => {
  const requests: ConversationRequest[] = [];
  const dropped: string[] = [];
  const running = new Map<string, Deferred.Deferred<void>>();
  const finished = (reason: "end-of-sequence" | "cancelled"): EngineEvent => ({
    type: "finished",
    reason,
    matched: undefined,
    cachedPromptTokens: 2,
    warnings: [],
  });
  return {
    requests,
    dropped,
    converse: Effect.fnUntraced(function* (request, onEvent) {
      requests.push(request);
      const cancelled = Deferred.makeUnsafe<void>();
      running.set(request.id, cancelled);
      onEvent({ type: "admitted", cachedPromptTokens: 2, promptTokens });
      for (const piece of pieces) {
        const nothing = {
          text: "",
          reasoning: "",
          toolCalls: [],
          tokens: 1,
          reasoningTokens: 0,
          tokenIds: [],
          logprobs: [],
        };
        onEvent({ ...nothing, ...piece, type: "output" });
      }
      if (ends === "waits") {
        yield* Effect.onInterrupt(Deferred.await(cancelled), () => Effect.sync(() => dropped.push(request.id)));
        return onEvent(finished("cancelled"));
      }
      if (ends !== undefined) return yield* Effect.fail(ends);
      onEvent(finished("end-of-sequence"));
    }),
    cancel: (id) => {
      const cancelled = running.get(id);
      return cancelled === undefined ? Effect.succeed(false) : Deferred.succeed(cancelled, undefined);
    },
    health: Stream.make("serving"),
    failure: Effect.never,
    status: Effect.succeed({
      device: undefined,
      backend: { version: "9.1", binding: "", reason: "" },
      ...noMemory,
      restarts: 0,
    }),
  };
};

/** Logs `start {source}` and `stop {source}` of the engines that it starts. */
export const scriptedDriver = (
  engine: ConversationEngine,
  log: string[],
  options: ReadonlyArray<ConversationOption> = [],
): ConversationDriver => ({
  version: "9.1",
  capabilities: {
    chat: true,
    tools: options.includes("chat.tools"),
    vision: false,
    logprobs: false,
    adapters: false,
    embeddings: false,
    constraints: [],
  },
  options: new Set(options),
  start: ({ source }) =>
    Effect.acquireRelease(
      Effect.sync(() => (log.push(`start ${source}`), engine)),
      () => Effect.sync(() => log.push(`stop ${source}`)),
    ),
});

export const conversationModel = (
  facts: ServedModel,
  engine: ConversationEngine,
  options: ReadonlyArray<ConversationOption> = [],
): ConversationModel => ({
  takes: "conversations",
  facts,
  profile: familyProfile("unknown"),
  options: new Set(options),
  lease: () => Effect.succeed(engine),
});
