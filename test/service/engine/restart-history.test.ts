import { assert, describe, it } from "vitest";

import { RestartHistory } from "../../../src/service/engine/restart-history.ts";

const die = (history: RestartHistory, times: number, isExplained = false): void => {
  for (let count = 0; count < times; count++) history.died("serving", isExplained, 0);
};

describe("the history of an engine's processes", () => {
  it("has pauses that double with each death, up to ten seconds, and begin anew after a token", () => {
    const history = new RestartHistory();
    const pauses = Array.from({ length: 8 }, () => {
      die(history, 1);
      return history.pauseMs;
    });
    assert.deepStrictEqual(pauses, [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
    history.delivered();
    die(history, 1);
    assert.strictEqual(history.pauseMs, 200);
  });

  it("refuses after five deaths that no request explains", () => {
    const history = new RestartHistory();
    die(history, 9, true);
    die(history, 4);
    assert.isFalse(history.failsAgainAndAgain);
    die(history, 1);
    assert.isTrue(history.failsAgainAndAgain);
    history.delivered();
    assert.isFalse(history.failsAgainAndAgain);
  });

  it("counts anew after a process that served for more than a minute", () => {
    const history = new RestartHistory();
    die(history, 4);
    history.becameReady(1_000);
    history.died("serving", false, 61_000);
    assert.isTrue(history.failsAgainAndAgain);
    history.becameReady(100_000);
    history.died("serving", false, 160_001);
    assert.isFalse(history.failsAgainAndAgain);
    assert.strictEqual(history.pauseMs, 200);
    // One that loaded for long did not serve.
    history.died("loading", false, 900_000);
    assert.strictEqual(history.pauseMs, 400);
  });

  it("ends after five failed starts in a row", () => {
    const history = new RestartHistory();
    for (const phase of ["loading", "loading", "refusing", "loading"] as const) history.died(phase, false, 0);
    assert.isFalse(history.cannotStart);
    history.died("loading", false, 0);
    assert.isTrue(history.cannotStart);
    history.died("serving", false, 0);
    assert.isFalse(history.cannotStart);
  });
});
