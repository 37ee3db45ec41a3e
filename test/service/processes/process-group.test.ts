import { execFileSync, fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { assert, describe, it } from "vitest";

import { type ProcessGroup, startGroup } from "../../../src/service/processes/process-group.ts";
import { membersOf } from "../../../src/service/processes/process-table.ts";
import { isAlive } from "../../support/is-alive.ts";
import { tree } from "./group-tree.ts";

const program = fileURLToPath(new URL("group-program.ts", import.meta.url));
const fewDescriptors = fileURLToPath(new URL("few-descriptors-program.ts", import.meta.url));

const start = (command: readonly [string, ...string[]], environment: Record<string, string> = {}) => {
  const written: string[] = [];
  const group = startGroup({
    command,
    environment: { ...process.env, ...environment },
    directory: "/",
    onOutput: (text) => written.push(text),
  });
  return { group, written: () => written.join("") };
};

const numbersIn = (text: string): number[] => text.trim().split(/\s+/).filter(Boolean).map(Number);

/** The three of the tree, when they have told their numbers. */
const threeOf = async (written: () => string): Promise<number[]> => {
  while (numbersIn(written()).length < 3) await sleep(20);
  return numbersIn(written());
};

const untilGone = async (pids: ReadonlyArray<number>): Promise<void> => {
  for (const pid of pids) while (await isAlive(pid)) await sleep(20);
};

const endOf = async (group: ProcessGroup): Promise<string> => {
  await group.end();
  return group.ended;
};

describe("a group of processes", () => {
  it("runs a program with its arguments, environment and folder, and tells what it writes and how it ends", async () => {
    const { group, written } = start(["/bin/sh", "-c", 'echo "$0 $WITH $PWD"; echo oops >&2; exit 7', "a b"], {
      WITH: "it",
    });
    assert.strictEqual(await group.ended, "exit code 7");
    assert.include(written(), "a b it /\n");
    assert.include(written(), "oops\n");
  });

  it("tells the signal that a program has ended by", async () => {
    const { group } = start(["/bin/sh", "-c", "kill -9 $$"]);
    assert.strictEqual(await group.ended, "signal SIGKILL");
  });

  it("tells of a program that is not there", async () => {
    assert.strictEqual(await start(["/nowhere/program"]).group.ended, "exit code 127");
  });

  it("lets a program end that does so when it is asked", async () => {
    const { group, written } = start([
      "/bin/sh",
      "-c",
      'trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.1; done',
    ]);
    while (!written().includes("up")) await sleep(20);
    await endOf(group);
    assert.include(written(), "bye");
  });

  it("gives a program its time to end also where its PATH has no programs", async () => {
    const { group, written } = start(
      ["/bin/sh", "-c", 'trap "/bin/sleep 0.3; echo bye; exit 0" TERM; echo up; while :; do /bin/sleep 0.1; done'],
      { PATH: "/nowhere" },
    );
    while (!written().includes("up")) await sleep(20);
    await endOf(group);
    assert.include(written(), "bye");
  });

  it("is ended by the kernel before the service, where memory runs out", async (context) => {
    if (process.platform !== "linux") return context.skip("only Linux has scores for that");
    const { group, written } = start(["/bin/sh", "-c", "cat /proc/self/oom_score_adj"]);
    await group.ended;
    const own = Number(readFileSync("/proc/self/oom_score_adj", "utf8"));
    assert.strictEqual(Number(written()), Math.min(1000, own + 500));
  });

  it("fails to start where this process has no descriptors left, and harms nobody then", () => {
    const limited = ["-c", 'ulimit -n 64; exec "$@"', "sh", process.execPath, fewDescriptors];
    const { ends, pids } = JSON.parse(execFileSync("/bin/sh", limited, { encoding: "utf8" })) as {
      readonly ends: ReadonlyArray<string>;
      readonly pids: ReadonlyArray<number>;
    };
    assert.lengthOf(ends, 5);
    assert.match(ends[0] ?? "", /^a failed start: .*EMFILE/);
    assert.match(ends.at(-1) ?? "", /^(signal|exit code)/);
    for (const pid of pids) assert.throws(() => process.kill(pid, 0), /ESRCH/);
  });

  it("ends with children that do not listen, in other groups too", async () => {
    const { group, written } = start(tree);
    const pids = await threeOf(written);
    assert.isAbove(await group.residentBytes(), 3 * 1024 ** 2);
    await endOf(group);
    for (const pid of pids) assert.isFalse(await isAlive(pid), String(pid));
    assert.strictEqual(await group.residentBytes(), 0);
  });

  it("takes the children of a program with it that was killed", async () => {
    const { group, written } = start(["/bin/sh", "-c", "sleep 1000 & echo $! $$; wait"]);
    while (numbersIn(written()).length < 2) await sleep(20);
    const [child = 0, parent = 0] = numbersIn(written());
    process.kill(parent, "SIGKILL");
    assert.strictEqual(await group.ended, "signal SIGKILL");
    assert.isFalse(await isAlive(child));
  });

  it("ends one that is stopped", async () => {
    const { group, written } = start(["/bin/sh", "-c", "echo $$; sleep 1000"]);
    while (numbersIn(written()).length < 1) await sleep(20);
    const [pid = 0] = numbersIn(written());
    process.kill(pid, "SIGSTOP");
    await endOf(group);
    assert.isFalse(await isAlive(pid));
  });

  it("ends with the process that has started it, however that ends", async () => {
    const parent = fork(program, { serialization: "json" });
    let written = "";
    parent.on("message", (text: string) => (written += text));
    const pids = await threeOf(() => written);
    const rows = (await membersOf(pids[0] ?? 0)).filter(({ pid }) => pids.includes(pid));
    const group = rows.find(({ pid }) => pid === pids[0])?.group;
    const strays = rows.filter((row) => row.group !== group).map(({ pid }) => pid);
    assert.lengthOf(strays, 1);
    parent.kill("SIGKILL");
    // Nothing is left that knows of the one with a group of its own.
    for (const pid of strays) process.kill(pid, "SIGKILL");
    await untilGone(pids);
  });
});
