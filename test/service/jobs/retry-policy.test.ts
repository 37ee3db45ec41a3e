import { assert, describe, it } from "vitest";

import { Draining, EngineLost, ModelNotFound, QueueFull } from "../../../src/service/domain/errors.ts";
import type { ItemFailure } from "../../../src/service/domain/job.ts";
import { nextAttempt } from "../../../src/service/jobs/retry-policy.ts";

const lost: ItemFailure = { type: "error", error: new EngineLost({ model: "demo" }) };
const item = { attempt: 1, counted: 0, maxAttempts: 3 };

describe("the next attempt at an item", () => {
  it("comes after a wait that doubles up to a minute, as long as there are attempts", () => {
    assert.deepEqual(nextAttempt(lost, item), { afterMs: 1_000, counts: true });
    assert.deepEqual(nextAttempt(lost, { ...item, attempt: 2, counted: 1 }), { afterMs: 2_000, counts: true });
    assert.isUndefined(nextAttempt(lost, { ...item, attempt: 3, counted: 2 }));
    assert.deepEqual(nextAttempt(lost, { ...item, attempt: 90 }), { afterMs: 60_000, counts: true });
  });

  it("does not come where it would fail again", () => {
    const error = new ModelNotFound({ model: "no-such", nearest: [] });
    assert.isUndefined(nextAttempt({ type: "error", error }, item));
  });

  it("comes after a bug, which may not be met twice", () => {
    assert.deepEqual(nextAttempt({ type: "defect", requestId: "a/0" }, item), { afterMs: 1_000, counts: true });
  });

  it("comes however many there were where the host ends or is full, and not before it asks", () => {
    const last = { attempt: 9, counted: 2, maxAttempts: 3 };
    const full = new QueueFull({ model: "demo", limit: 1, retryAfterMs: 1_000 });
    assert.deepEqual(nextAttempt({ type: "error", error: full }, last), { afterMs: 60_000, counts: false });
    const drains = new Draining({ retryAfterMs: 5_000 });
    assert.deepEqual(nextAttempt({ type: "error", error: drains }, item), { afterMs: 5_000, counts: false });
    const endless = new Draining({ retryAfterMs: 1e9 });
    assert.deepEqual(nextAttempt({ type: "error", error: endless }, item), { afterMs: 60_000, counts: false });
  });
});
