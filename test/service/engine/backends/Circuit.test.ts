import { assert, describe, it } from "vitest";

import { Circuit } from "../../../../src/service/engine/backends/Circuit.ts";

const circuitAt = () => {
  const state = { now: 0, changes: 0 };
  const circuit = new Circuit(
    () => state.now,
    () => (state.changes += 1),
  );
  const fail = (times: number) => {
    for (let index = 0; index < times; index++) circuit.begin().end("unavailable");
  };
  return { state, circuit, fail };
};

describe("a host's circuit", () => {
  it("opens after five failures in a row, and tells how long", () => {
    const { state, circuit, fail } = circuitAt();
    fail(4);
    circuit.begin().end("answered");
    fail(4);
    assert.isUndefined(circuit.refusalMs);
    fail(1);
    assert.isTrue(circuit.isOpen);
    assert.isFalse(circuit.isServing);
    assert.strictEqual(circuit.refusalMs, 5_000);
    state.now = 4_000;
    assert.strictEqual(circuit.refusalMs, 1_000);
    assert.strictEqual(state.changes, 1);
  });

  it("lets one request try it after the pause, and closes with its first output", () => {
    const { state, circuit, fail } = circuitAt();
    fail(5);
    state.now = 5_000;
    assert.isUndefined(circuit.refusalMs);
    const trial = circuit.begin();
    assert.strictEqual(circuit.refusalMs, 1_000);
    trial.delivered();
    assert.isUndefined(circuit.refusalMs);
    assert.isFalse(circuit.isOpen);
    // What becomes of it later counts as with every request.
    trial.end("unavailable");
    assert.isFalse(circuit.isOpen);
  });

  it("waits longer after each trial that fails, a minute at most", () => {
    const { state, circuit, fail } = circuitAt();
    fail(5);
    const pauses: unknown[] = [];
    for (let index = 0; index < 6; index++) {
      const { refusalMs } = circuit;
      pauses.push(refusalMs);
      state.now += refusalMs ?? 0;
      fail(1);
    }
    assert.deepStrictEqual(pauses, [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
  });

  it("lets another request try it where the caller of a trial has left", () => {
    const { state, circuit, fail } = circuitAt();
    fail(5);
    state.now = 5_000;
    circuit.begin().end("unknown");
    assert.isUndefined(circuit.refusalMs);
    assert.isTrue(circuit.isOpen);
  });

  it("is not opened anew by requests that began before it opened, and closed by one that is answered", () => {
    const { circuit, fail } = circuitAt();
    const [late, later] = [circuit.begin(), circuit.begin()];
    fail(5);
    late.end("unavailable");
    assert.strictEqual(circuit.refusalMs, 5_000);
    later.end("answered");
    assert.isFalse(circuit.isOpen);
  });

  it("serves again after a probe, and still lets one request show it", () => {
    const { state, circuit, fail } = circuitAt();
    fail(5);
    state.now = 5_000;
    circuit.begin();
    circuit.reached();
    assert.isTrue(circuit.isServing);
    assert.isUndefined(circuit.refusalMs);
    const trial = circuit.begin();
    assert.strictEqual(circuit.refusalMs, 1_000);
    trial.end("unavailable");
    assert.isFalse(circuit.isServing);
    assert.strictEqual(circuit.refusalMs, 10_000);
  });
});
