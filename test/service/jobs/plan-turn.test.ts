import { assert, describe, it } from "vitest";

import { type ModelSituation, planTurn, type TurnInput } from "../../../src/service/jobs/plan-turn.ts";

const model = (overrides: Partial<ModelSituation> = {}): ModelSituation => ({
  isResident: true,
  hasRoom: false,
  isInteractive: false,
  running: 0,
  turnSince: undefined,
  waitingSince: undefined,
  ...overrides,
});

let place = 0;
const lane = (key: string, tenant = "", priority = 0) => ({
  jobId: `${key}-${tenant}-${priority}`,
  model: key,
  queue: `queue of ${key}`,
  tenant,
  priority,
  place: ++place,
  key,
});

const plan = (input: Partial<TurnInput> & { readonly situations?: Readonly<Record<string, ModelSituation>> }) =>
  planTurn({
    lanes: [],
    models: new Map(Object.entries(input.situations ?? {})),
    runningOf: new Map(),
    parallel: 8,
    now: 1_000_000,
    ...input,
  }).map(({ lane: { jobId }, count }) => `${count} of ${jobId}`);

describe("the items that a host runs next", () => {
  it("are as many as it has room for", () => {
    assert.deepEqual(plan({ lanes: [lane("a")], situations: { a: model({ running: 3 }) } }), ["5 of a--0"]);
    assert.deepEqual(plan({ lanes: [lane("a")], situations: { a: model({ running: 8 }) } }), []);
  });

  it("are one at a time beside interactive calls", () => {
    assert.deepEqual(plan({ lanes: [lane("a")], situations: { a: model({ isInteractive: true }) } }), ["1 of a--0"]);
    assert.deepEqual(plan({ lanes: [lane("a")], situations: { a: model({ isInteractive: true, running: 1 }) } }), []);
  });

  it("are divided among tenants by what runs already", () => {
    const lanes = [lane("a", "x"), lane("a", "y")];
    assert.deepEqual(plan({ lanes, situations: { a: model() } }), ["4 of a-x-0", "4 of a-y-0"]);
    const runningOf = new Map([["x", 4]]);
    assert.deepEqual(plan({ lanes, runningOf, situations: { a: model({ running: 4 }) } }), ["4 of a-y-0"]);
  });

  it("are those of a tenant's job with the highest priority, then of the oldest", () => {
    const lanes = [lane("a", "x", 0), lane("a", "x", 5)];
    assert.deepEqual(plan({ lanes, situations: { a: model() } }), ["8 of a-x-5"]);
  });

  it("are of the model in memory, while another one that has no room waits", () => {
    const situations = {
      a: model({ turnSince: 990_000, running: 2 }),
      b: model({ isResident: false, waitingSince: 990_000 }),
    };
    assert.deepEqual(plan({ lanes: [lane("a"), lane("b")], situations }), ["6 of a--0"]);
  });

  it("are none of a model whose turn is over, until the one that waits has room", () => {
    const situations = {
      a: model({ turnSince: 900_000, running: 2 }),
      b: model({ isResident: false, waitingSince: 950_000 }),
    };
    assert.deepEqual(plan({ lanes: [lane("a"), lane("b")], situations }), []);
    const freed = { a: model({ turnSince: 900_000 }), b: model({ isResident: false, hasRoom: true }) };
    assert.include(plan({ lanes: [lane("a"), lane("b")], situations: freed }), "8 of b--0");
  });

  it("are still of a model that interactive calls keep in memory: standing still would make no room", () => {
    const situations = {
      a: model({ turnSince: 1, isInteractive: true }),
      b: model({ isResident: false, waitingSince: 1 }),
    };
    assert.deepEqual(plan({ lanes: [lane("a"), lane("b")], situations }), ["1 of a--0"]);
  });

  it("load one model at a time", () => {
    const absent = model({ isResident: false, hasRoom: true });
    assert.deepEqual(plan({ lanes: [lane("a"), lane("b")], situations: { a: absent, b: absent } }), ["8 of a--0"]);
  });
});
