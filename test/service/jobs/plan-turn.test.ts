import { describe, expect, it } from "vitest";

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
    expect(plan({ lanes: [lane("a")], situations: { a: model({ running: 3 }) } })).toEqual(["5 of a--0"]);
    expect(plan({ lanes: [lane("a")], situations: { a: model({ running: 8 }) } })).toEqual([]);
  });

  it("are one at a time beside interactive calls", () => {
    expect(plan({ lanes: [lane("a")], situations: { a: model({ isInteractive: true }) } })).toEqual(["1 of a--0"]);
    expect(plan({ lanes: [lane("a")], situations: { a: model({ isInteractive: true, running: 1 }) } })).toEqual([]);
  });

  it("are divided among tenants by what runs already", () => {
    const lanes = [lane("a", "x"), lane("a", "y")];
    expect(plan({ lanes, situations: { a: model() } })).toEqual(["4 of a-x-0", "4 of a-y-0"]);
    const runningOf = new Map([["x", 4]]);
    expect(plan({ lanes, runningOf, situations: { a: model({ running: 4 }) } })).toEqual(["4 of a-y-0"]);
  });

  it("are those of a tenant's job with the highest priority, then of the oldest", () => {
    const lanes = [lane("a", "x", 0), lane("a", "x", 5)];
    expect(plan({ lanes, situations: { a: model() } })).toEqual(["8 of a-x-5"]);
  });

  it("are of the model in memory, while another one that has no room waits", () => {
    const situations = {
      a: model({ turnSince: 990_000, running: 2 }),
      b: model({ isResident: false, waitingSince: 990_000 }),
    };
    expect(plan({ lanes: [lane("a"), lane("b")], situations })).toEqual(["6 of a--0"]);
  });

  it("are none of a model whose turn is over, until the one that waits has room", () => {
    const situations = {
      a: model({ turnSince: 900_000, running: 2 }),
      b: model({ isResident: false, waitingSince: 950_000 }),
    };
    expect(plan({ lanes: [lane("a"), lane("b")], situations })).toEqual([]);
    const freed = { a: model({ turnSince: 900_000 }), b: model({ isResident: false, hasRoom: true }) };
    expect(plan({ lanes: [lane("a"), lane("b")], situations: freed })).toContain("8 of b--0");
  });

  it("are still of a model that interactive calls keep in memory: standing still would make no room", () => {
    const situations = {
      a: model({ turnSince: 1, isInteractive: true }),
      b: model({ isResident: false, waitingSince: 1 }),
    };
    expect(plan({ lanes: [lane("a"), lane("b")], situations })).toEqual(["1 of a--0"]);
  });

  it("load one model at a time", () => {
    const absent = model({ isResident: false, hasRoom: true });
    expect(plan({ lanes: [lane("a"), lane("b")], situations: { a: absent, b: absent } })).toEqual(["8 of a--0"]);
  });
});
