import { assert, describe, it } from "vitest";

import type { ModelStatus } from "../../../src/service/domain/model.ts";
import { overallState, partsOf, type PartsFacts } from "../../../src/service/domain/parts-health.ts";
import { modelStatus } from "../../support/listed-models.ts";

const well: PartsFacts = {
  models: [],
  queues: new Map(),
  maxQueued: 8,
  isDraining: false,
  isOffline: false,
  jobStore: undefined,
};
const told = (facts: Partial<PartsFacts>) => {
  const parts = partsOf({ ...well, ...facts });
  return {
    overall: overallState(parts),
    parts: parts.map(({ kind, name, state, reason }) => [kind, name, state, reason]),
  };
};
const partOf = (kind: string, facts: Partial<PartsFacts>) => told(facts).parts.filter(([own]) => own === kind);
const key = (id: string) => `local_mlx:${id}`;
const onServer = (id: string, status: Partial<ModelStatus>): ModelStatus => ({
  ...modelStatus(id, { backend: "big-box", files: undefined, ...status }),
});

describe("the health of the parts", () => {
  it("is ok where nothing is wrong, also where nothing was used", () => {
    assert.deepEqual(told({}), {
      overall: "ok",
      parts: [
        ["queue", "queue", "ok", "0 running, 0 waiting"],
        ["downloads", "downloads", "unused", "nothing is being downloaded"],
        ["job_store", "job_store", "unused", "no job has needed it"],
      ],
    });
  });

  it("tells each model that is in memory or has failed, and why it is not well", () => {
    const models = [
      modelStatus("well"),
      modelStatus("stuck", { stateReason: "its engine delivers nothing at the moment" }),
      modelStatus("broken", { state: "failed", stateReason: "x is missing" }),
      modelStatus("coming", { state: "loading" }),
      modelStatus("going", { state: "draining" }),
      modelStatus("idle", { state: "available" }),
    ];
    assert.deepEqual(partOf("model", { models }), [
      ["model", key("well"), "ok", ""],
      ["model", key("stuck"), "down", "its engine delivers nothing at the moment"],
      ["model", key("broken"), "down", "x is missing"],
      ["model", key("coming"), "pending", "it is being loaded"],
      ["model", key("going"), "pending", "it leaves memory when what it runs has finished"],
    ]);
    assert.strictEqual(told({ models }).overall, "degraded");
    assert.strictEqual(
      told({ models: [modelStatus("well"), modelStatus("coming", { state: "loading" })] }).overall,
      "ok",
    );
  });

  it("tells a backend by how the models on it do", () => {
    const of = (...models: ReadonlyArray<ModelStatus>) => partOf("backend", { models })[0]?.slice(1);
    const bad = onServer("b", { stateReason: "it does not answer" });
    assert.deepEqual(of(onServer("a", {}), onServer("b", {})), ["big-box", "ok", ""]);
    assert.deepEqual(of(onServer("a", {}), bad), ["big-box", "degraded", 'model "b": it does not answer']);
    assert.deepEqual(of(bad), ["big-box", "down", 'model "b": it does not answer']);
    assert.strictEqual(of(onServer("a", { state: "available" }))?.[1], "unused");
  });

  it("tells a queue that is full, and one that is closed for good", () => {
    const queues = new Map([
      ["a", { taken: 2, waiting: 3 }],
      ["b", { taken: 1, waiting: 8 }],
    ]);
    assert.deepEqual(partOf("queue", { queues })[0]?.slice(2), [
      "degraded",
      '8 tasks wait for model "b", and no more may',
    ]);
    assert.deepEqual(partOf("queue", { queues, maxQueued: 9 })[0]?.slice(2), ["ok", "3 running, 11 waiting"]);
    assert.strictEqual(told({ isDraining: true }).overall, "down");
  });

  it("tells downloads and the store of jobs", () => {
    const models = [modelStatus("a", { state: "downloading" })];
    assert.deepEqual(partOf("downloads", { models })[0]?.slice(2), ["ok", "being downloaded: a"]);
    assert.strictEqual(partOf("downloads", { isOffline: true })[0]?.[2], "unused");
    assert.deepEqual(partOf("job_store", { jobStore: { isWell: true, reason: "" } })[0]?.slice(2), ["ok", ""]);
    const gone = { jobStore: { isWell: false, reason: "it does not answer" } };
    assert.deepEqual(partOf("job_store", gone)[0]?.slice(2), ["down", "it does not answer"]);
    assert.strictEqual(told(gone).overall, "degraded");
  });
});
