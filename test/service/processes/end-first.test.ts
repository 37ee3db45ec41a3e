import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { assert, describe, it } from "vitest";

import { endFirst } from "../../../src/service/processes/end-first.ts";
import { launch } from "../../../src/service/processes/launch.ts";
import { startService } from "../../support/running-service.ts";

const program = fileURLToPath(new URL("launch-program.ts", import.meta.url));
const score = (pid: number | string): number => Number(readFileSync(`/proc/${pid}/oom_score_adj`, "utf8"));

describe("endFirst", () => {
  it("raises the score of the process that it is given, and of no other", async (context) => {
    if (process.platform !== "linux") return context.skip("only Linux has scores of processes");
    const own = score("self");
    const child = fork(program, ["child"], launch([]));
    try {
      endFirst(child);
      await once(child, "message");
      assert.strictEqual(score(child.pid ?? 0), Math.min(1000, own + 500), "also after setpriv has become Node");
      assert.strictEqual(score("self"), own);
    } finally {
      child.kill();
    }
  });

  it("does nothing to a process that has ended", async () => {
    const child = fork(program, ["child"], launch([]));
    await once(child, "message");
    child.kill("SIGKILL");
    await once(child, "exit");
    endFirst(child);
  });
});

/** A container over its limit lost its service: all processes had the same score, and that of the service is the oldest. */
describe("the service", () => {
  it("is ended after its engines and sandbox processes", async (context) => {
    if (process.platform !== "linux") return context.skip("only Linux has scores of processes");
    const service = await startService();
    try {
      const pid = service.process.pid ?? 0;
      const children = service.children().filter((child) => /worker\/main|lane\/main/.test(commandOf(child)));
      assert.isAtLeast(children.length, 2);
      for (const child of children) assert.isAbove(score(child), score(pid), commandOf(child));
    } finally {
      await service.stop();
    }
  });
});

const commandOf = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
