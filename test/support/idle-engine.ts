/** An engine that takes requests and never does anything. */
import { Effect, Stream } from "effect";

import type { Engine } from "../../src/service/engine/Engine.ts";
import { noMemory } from "../../src/service/engine/EngineStatus.ts";

/** It says nothing of its health, so that it is what it was at its start: well. */
export const idleEngine = (status: Partial<Effect.Success<Engine["status"]>> = {}): Engine => ({
  generate: () => Effect.never,
  embed: () => Effect.never,
  clearPrefixes: () => Effect.succeed({ entries: 0, bytes: 0 }),
  cancel: () => Effect.succeed(false),
  health: Stream.empty,
  failure: Effect.never,
  status: Effect.succeed({
    ...noMemory,
    restarts: 0,
    device: "cpu",
    backend: undefined,
    ...status,
  }),
});
