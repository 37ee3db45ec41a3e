/** What systemd is told: that the service is ready when it is, and that it lives as long as its health is worth that. */
import { assert, describe, it } from "vitest";

import type { ModelCondition } from "../../src/service/domain/model.ts";
import { aliveness, momentOf } from "../../src/service/tell-systemd.ts";
import { startService } from "../support/running-service.ts";
import { listenAsSystemd } from "../support/systemd-socket.ts";
import { until } from "../support/until.ts";

const conditions = (...all: ReadonlyArray<ModelCondition>) => new Map(all.map((each, at) => [`model-${at}`, each]));

describe("the moment", () => {
  it("is told as health has it", () => {
    assert.deepStrictEqual(momentOf({ status: "serving", reason: "" }, new Map()), {
      status: "serving",
      isStuck: false,
    });
    const { status } = momentOf({ status: "not-serving", reason: "there is no model" }, new Map());
    assert.strictEqual(status, "not serving: there is no model");
    assert.strictEqual(momentOf(undefined, new Map()).status, "not serving");
  });

  it("is stuck where no model answers and an engine delivers nothing, which a restart may mend", () => {
    const down = { status: "not-serving", reason: "no model can answer" } as const;
    assert.isTrue(momentOf(down, conditions({ state: "active", delivers: false })).isStuck);
    assert.isTrue(
      momentOf(down, conditions({ state: "failed", delivers: true }, { state: "active", delivers: false })).isStuck,
    );
    // What a restart would not mend.
    assert.isFalse(momentOf(down, conditions({ state: "failed", delivers: true })).isStuck);
    assert.isFalse(momentOf(down, conditions({ state: "not-downloaded", delivers: true })).isStuck);
    assert.isFalse(momentOf({ status: "not-serving", reason: "it shuts down" }, new Map()).isStuck);
    // What others would lose by it.
    const serving = { status: "serving", reason: "" } as const;
    assert.isFalse(
      momentOf(serving, conditions({ state: "active", delivers: true }, { state: "active", delivers: false })).isStuck,
    );
  });

  it("counts as alive until it has been stuck without a break for as long as it is given", () => {
    const isAlive = aliveness(1000);
    assert.deepStrictEqual(
      [
        [false, 0],
        [true, 100],
        [true, 1099],
        [true, 1100],
        [false, 1200],
        [true, 1300],
        [true, 2299],
        [true, 2300],
      ].map(([isStuck, now]) => isAlive(isStuck as boolean, now as number)),
      [true, true, true, false, true, true, true, false],
    );
  });
});

describe("a service that systemd has started", { timeout: 240_000 }, () => {
  it("says that it is ready, lives and stops, and is silent when its only engine is stuck for good", async (context) => {
    const systemd = await listenAsSystemd();
    if (typeof systemd === "string") return context.skip(systemd);
    await using listening = systemd;
    const { heard } = listening;
    const service = await startService({
      NOTIFY_SOCKET: listening.path,
      WATCHDOG_USEC: "1000000",
      // Nobody comes to the engine's help here.
      MLXD_ENGINE_UNRESPONSIVE_MS: "3000",
      MLXD_ENGINE_STALL_MS: "3600000",
    });
    const beats = () => heard.filter((line) => line.includes("WATCHDOG=1")).length;
    try {
      await until(() => beats() >= 3);
      assert.strictEqual(heard[0], "READY=1");
      await until(() => heard.some((line) => line.includes("STATUS=serving")));
      const [engine = 0] = service.workers();
      process.kill(engine, "SIGSTOP");
      await until(() => heard.some((line) => line.includes("STATUS=not serving: no model can answer")));
      const toldAt = beats();
      // It lives for some periods more, in which engines are started anew, and then says nothing.
      await until(async () => {
        const before = beats();
        await new Promise((resolve) => setTimeout(resolve, 3000));
        return beats() === before;
      });
      assert.isAbove(beats(), toldAt);
      process.kill(engine, "SIGCONT");
      const silent = beats();
      await until(() => beats() > silent);
      await until(() => heard.findLast((line) => line.includes("STATUS="))?.includes("STATUS=serving") === true);
    } finally {
      assert.strictEqual(await service.stop(), 0);
    }
    await until(() => heard.some((line) => line.includes("STOPPING=1")));
  });

  it("starts as well without a watchdog, and where systemd-notify finds nobody", async (context) => {
    const systemd = await listenAsSystemd();
    if (typeof systemd === "string") return context.skip(systemd);
    await systemd[Symbol.asyncDispose]();
    const service = await startService({ NOTIFY_SOCKET: systemd.path });
    assert.strictEqual(await service.stop(), 0);
  });
});
