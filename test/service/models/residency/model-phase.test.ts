import { assert, describe, it } from "@effect/vitest";

import { EngineStartFailed, ModelNotDownloaded } from "../../../../src/service/domain/errors.ts";
import type { LoadedEngine } from "../../../../src/service/models/residency/LoadedEngine.ts";
import {
  isResident,
  loadedIn,
  type Phase,
  reasonOf,
  stateOf,
  useOf,
} from "../../../../src/service/models/residency/model-phase.ts";

const loaded = (health: LoadedEngine["health"]): LoadedEngine => ({ health }) as LoadedEngine;
const active = (health: LoadedEngine["health"] = "serving"): Phase => ({ state: "active", loaded: loaded(health) });
const available: Phase = { state: "available" };
const loading: Phase = { state: "loading", fiber: undefined, revives: false };
const failed: Phase = {
  state: "failed",
  error: new EngineStartFailed({ model: "a", cause: "out of luck", retryAfterMs: 1 }),
  retryAt: 0,
};
const missing: Phase = {
  state: "failed",
  error: new ModelNotDownloaded({ model: "a", repository: "b/a" }),
  retryAt: 0,
};
const draining = (why: "unload" | "eviction"): Phase => ({ state: "draining", loaded: loaded("serving"), why });

describe("a model's phase", () => {
  it("is told to callers as a state; missing files are no failure, and may be on their way", () => {
    assert.strictEqual(stateOf(active(), 0), "active");
    assert.strictEqual(stateOf(failed, 0), "failed");
    assert.strictEqual(stateOf(missing, 0), "not-downloaded");
    assert.strictEqual(stateOf(missing, 1), "downloading");
  });

  it("is explained where something is wrong, and only there", () => {
    assert.strictEqual(reasonOf(available), "");
    assert.strictEqual(reasonOf(active()), "");
    assert.strictEqual(reasonOf(failed), "out of luck");
    for (const health of ["restarting", "stalled", "unreachable"] as const) assert.isNotEmpty(reasonOf(active(health)));
  });

  it("takes memory from its load to the end of its unloading", () => {
    assert.deepEqual([loading, active(), draining("unload")].map(isResident), [true, true, true]);
    assert.deepEqual([available, failed].map(isResident), [false, false]);
  });

  it("has an engine to lease while it is active or drains", () => {
    assert.isDefined(loadedIn(active()));
    assert.isDefined(loadedIn(draining("eviction")));
    assert.isUndefined(loadedIn(loading));
  });

  it("may be evicted only while it is active, unused and not pinned", () => {
    assert.strictEqual(useOf(active(), false, true), "idle");
    assert.strictEqual(useOf(active(), false, false), "busy");
    assert.strictEqual(useOf(active(), true, true), "pinned");
    assert.strictEqual(useOf(loading, false, true), "busy");
  });

  it("leaves where it was told to, pinned or not", () => {
    assert.strictEqual(useOf(draining("unload"), true, true), "leaving");
    assert.strictEqual(useOf({ state: "unloading", why: "cancelled" }, true, true), "leaving");
  });
});
