import { assert, describe, it } from "@effect/vitest";
import { Effect, Scope } from "effect";

import { ModelBroken } from "../../../../src/service/domain/errors.ts";
import { LoadedEngine } from "../../../../src/service/models/residency/LoadedEngine.ts";
import type { LoadingPhase, Phase } from "../../../../src/service/models/residency/model-phase.ts";
import { nextPhase, type PhaseEvent } from "../../../../src/service/models/residency/phase-transitions.ts";
import { idleEngine } from "../../../support/idle-engine.ts";

const loaded = new LoadedEngine(idleEngine(), Effect.runSync(Scope.make()), { date: 0, elapsed: 0 });
const another = new LoadedEngine(idleEngine(), Effect.runSync(Scope.make()), { date: 0, elapsed: 0 });
const loading: LoadingPhase = { state: "loading", fiber: undefined, revives: false };
const reviving: LoadingPhase = { state: "loading", fiber: undefined, revives: true };
const error = new ModelBroken({ model: "m", cause: "c" });

const phases = {
  available: { state: "available" },
  failed: { state: "failed", error, retryAt: 1 },
  unusable: { state: "failed", error, retryAt: Infinity },
  loading,
  reviving,
  active: { state: "active", loaded },
  evicted: { state: "draining", loaded, why: "eviction" },
  unloaded: { state: "draining", loaded, why: "unload" },
  unloading: { state: "unloading", why: "unload" },
} satisfies Record<string, Phase>;

/** For each event the phases that it changes, and what into; in all others nothing happens. */
const table: ReadonlyArray<readonly [PhaseEvent, Partial<Record<keyof typeof phases, Phase>>]> = [
  [
    { type: "load", loading },
    { available: loading, failed: loading, unusable: loading },
  ],
  [{ type: "loaded", loading, loaded }, { loading: phases.active }],
  [{ type: "cancel-load", why: "cancelled" }, { loading: { state: "unloading", why: "cancelled" } }],
  [
    { type: "cancel-load", why: "unload" },
    { loading: phases.unloading, reviving: phases.unloading },
  ],
  [{ type: "leave", why: "eviction" }, { active: phases.evicted }],
  [{ type: "stay" }, { evicted: phases.active }],
  [
    { type: "unload", loaded },
    { active: phases.unloaded, evicted: phases.unloaded, unloaded: phases.unloaded },
  ],
  [{ type: "unload", loaded: another }, {}],
  [
    { type: "close", loaded },
    { evicted: { state: "unloading", why: "eviction" }, unloaded: phases.unloading },
  ],
  [{ type: "close", loaded: another }, {}],
  [
    { type: "lost", loaded },
    {
      active: { state: "unloading", why: "failure" },
      evicted: { state: "unloading", why: "failure" },
      unloaded: { state: "unloading", why: "failure" },
    },
  ],
  [{ type: "released" }, { loading: phases.available, reviving: phases.available, unloading: phases.available }],
  [
    { type: "failed", error, retryAt: 1 },
    { loading: phases.failed, reviving: phases.failed, unloading: phases.failed },
  ],
  [{ type: "forget-failure" }, { failed: phases.available }],
];

describe("a model's phases", () => {
  for (const [event, changes] of table) {
    it(`change by ${JSON.stringify(event, (key, value: unknown) => (key === "loaded" ? undefined : value))} as told`, () => {
      for (const [name, phase] of Object.entries(phases)) {
        const next = nextPhase(phase, event);
        assert.deepStrictEqual(next, changes[name as keyof typeof phases], name);
      }
    });
  }
});
