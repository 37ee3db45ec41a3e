import { assert, describe, it } from "vitest";

import { MlxdError } from "../../../src/client/index.ts";
import { readOn } from "../../../src/client/jobs/reconnect.ts";
import { collect } from "../../support/collect.ts";
import { errorOf } from "../../support/error-of.ts";

const mlxdErrorOf = async (promise: Promise<unknown>): Promise<MlxdError> => {
  const error = await errorOf(promise);
  assert.instanceOf(error, MlxdError);
  return error;
};

const unavailable = () => new MlxdError({ code: "UNAVAILABLE", reason: "UNKNOWN", message: "away" });

/** A stream of the numbers 1 to 9 whose connections bring so many and then fail. */
const breaking = (brings: readonly number[], error: () => Error = unavailable) => {
  const opened: number[] = [];
  const slept: number[] = [];
  const clock = { now: () => 0, random: () => 0.5, sleep: async (ms: number) => void slept.push(ms) };
  const open = async function* (after: number) {
    const most = brings[opened.length];
    opened.push(after);
    for (let value = after + 1; value <= 9; value++) {
      if (most !== undefined && value > after + most) throw error();
      yield value;
    }
  };
  const signal = new AbortController().signal;
  return { opened, slept, events: readOn({ open, placeOf: (value: number) => value, after: 0 }, clock, signal) };
};

describe("a stream that is taken up again", () => {
  it("goes on after the last event, with a wait that grows while nothing comes", async () => {
    const { events, opened, slept } = breaking([3, 0, 0, 2]);
    assert.deepEqual(await collect(events), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.deepEqual(opened, [0, 3, 3, 3, 5]);
    assert.deepEqual(slept, [200, 400, 800, 200]);
  });

  it("is given up where another attempt would not mend it", async () => {
    const missing = () => new MlxdError({ code: "NOT_FOUND", reason: "JOB_NOT_FOUND", message: "gone" });
    const { events, opened } = breaking([3], missing);
    assert.strictEqual((await mlxdErrorOf(collect(events))).reason, "JOB_NOT_FOUND");
    assert.lengthOf(opened, 1);
  });

  it("is given up after very many attempts that brought nothing", async () => {
    const { events, opened } = breaking(Array.from({ length: 500 }, () => 0));
    assert.strictEqual((await mlxdErrorOf(collect(events))).code, "UNAVAILABLE");
    assert.lengthOf(opened, 120);
  });
});
