import { assert, it } from "vitest";

import type { ModelState } from "../../../src/service/domain/model.ts";
import { statusesOf } from "../../../src/service/server/model-health.ts";

it.each([
  ["available", undefined, "serving"],
  ["active", undefined, "serving"],
  ["failed", "serving", "not-serving"],
  ["not-downloaded", undefined, "not-serving"],
  ["draining", "serving", "serving"],
  ["unloading", "serving", "serving"],
  ["unloading", "not-serving", "not-serving"],
  ["downloading", undefined, "not-serving"],
  ["loading", undefined, "not-serving"],
  ["loading", "not-serving", "not-serving"],
  ["loading", "serving", "serving"],
] as const)("a model that is %s and was %s is %s", (state: ModelState, before, now) => {
  const known = new Map(before === undefined ? [] : [["m", before] as const]);
  assert.strictEqual(statusesOf(new Map([["m", { state, delivers: true }]]), known).get("m"), now);
});

it.each(["active", "draining"] as const)("a model that is %s and delivers nothing is not serving", (state) => {
  const known = new Map([["m", "serving"] as const]);
  assert.strictEqual(statusesOf(new Map([["m", { state, delivers: false }]]), known).get("m"), "not-serving");
});
