import { assert, describe, it } from "@effect/vitest";
import fc from "fast-check";

import type { PrepareEvent } from "../../../../src/service/domain/preparation.ts";
import { Journal } from "../../../../src/service/pipeline/prepare/Journal.ts";
import { isLast, mayFollow, stages, taskOf } from "../../../../src/service/pipeline/prepare/stages.ts";
import { prepareReport } from "../../../support/prepare-report.ts";

const anyStage = fc.constantFrom(...stages);

describe("the stages of a preparation", () => {
  it("begin with resolving and end with one of three, whatever is tried", () => {
    fc.assert(
      fc.property(fc.array(anyStage, { maxLength: 30 }), (wanted) => {
        const events: PrepareEvent[] = [];
        const journal = new Journal(
          (event) => events.push(event),
          () => 0,
        );
        for (const stage of wanted) {
          try {
            journal.enter(stage);
          } catch (error) {
            assert.instanceOf(error, RangeError);
          }
        }
        const entered = events.flatMap((event) => (event.type === "stage" ? [event.stage] : []));
        const places = entered.map((stage) => stages.indexOf(stage));
        assert.deepEqual(
          places,
          [...new Set(places)].toSorted((a, b) => a - b),
          "in order, and none twice",
        );
        if (entered.length > 0) assert.strictEqual(entered[0], "resolving");
        assert.isFalse(entered.slice(0, -1).some(isLast), "nothing follows a last stage");
        const last = entered.at(-1);
        if (last === "ready" || last === "degraded") assert.strictEqual(entered.at(-2), "smoke-test");
      }),
    );
  });

  it("can all fail, but for those that are over", () => {
    for (const stage of stages) assert.strictEqual(mayFollow(stage, "failed"), !isLast(stage), stage);
  });

  it("take the time until the next one begins", () => {
    const events: PrepareEvent[] = [];
    let now = 100;
    const journal = new Journal(
      (event) => events.push(event),
      () => now,
    );
    journal.enter("resolving");
    now = 103;
    journal.enter("model-loading");
    now = 110;
    const { type: _, timings: __, stageLogs: ___, ...outcome } = prepareReport({ stage: "failed", readyToChat: false });
    journal.log("engine mlx", { version: "1" });
    const report = journal.report({ ...outcome, message: "it broke" });
    assert.deepInclude(events.at(-1), {
      type: "report",
      readyToChat: false,
      timings: [
        { stage: "resolving", durationMs: 3 },
        { stage: "model-loading", durationMs: 7 },
      ],
    });
    assert.deepEqual(events.at(-2), { type: "stage", stage: "failed", message: "it broke", elapsedMs: 10 });
    assert.strictEqual(events.at(-1), report);
    assert.deepEqual(report.stageLogs, [
      { stage: "resolving", message: taskOf("resolving"), extra: {}, elapsedMs: 0 },
      { stage: "model-loading", message: taskOf("model-loading"), extra: {}, elapsedMs: 3 },
      { stage: "model-loading", message: "engine mlx", extra: { version: "1" }, elapsedMs: 10 },
      { stage: "failed", message: "it broke", extra: {}, elapsedMs: 10 },
    ]);
  });
});
