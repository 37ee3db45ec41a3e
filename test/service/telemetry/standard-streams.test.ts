import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { assert, describe, it } from "vitest";

const module = new URL("../../../src/service/telemetry/standard-streams.ts", import.meta.url).href;
const lines = 20_000;

/** Writes 20 MB of log and tells how much of it waited at most. */
const program = `
  import { outliveReaders, writeLogLine } from ${JSON.stringify(module)};
  outliveReaders();
  let most = 0;
  for (let line = 0; line < ${lines}; line++) {
    writeLogLine("x".repeat(1000));
    most = Math.max(most, process.stderr.writableLength);
    if (line % 100 === 0) await new Promise(setImmediate);
  }
  process.send(most);
  process.once("message", () => {
    writeLogLine("later");
    process.stderr.write("", () => process.exit(0));
  });
`;

const start = (stderr: "pipe" | number) =>
  spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "ignore", stderr, "ipc"] });

describe("the log", () => {
  it("of a reader that has stopped reading takes a megabyte, and tells later what was left out", async () => {
    const child = start("pipe");
    const [most] = (await once(child, "message")) as [number];
    assert.isAbove(most, 500_000);
    assert.isBelow(most, 1_100_000);
    let text = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      // It may have ended since: it is asked with every piece.
      if (text.length > 900_000 && child.connected) child.send("go on", () => {});
    });
    await once(child, "close");
    const [, leftOut = ""] = /(\d+) lines are left out/.exec(text) ?? [];
    assert.isAbove(Number(leftOut), lines / 2);
  });

  it("of a reader that has left harms nobody", async () => {
    const child = start("pipe");
    child.stderr?.destroy();
    await once(child, "message");
    child.send("go on");
    assert.strictEqual((await once(child, "exit"))[0], 0);
  });

  it("on a full disk harms nobody", async (context) => {
    let full: number;
    try {
      full = openSync("/dev/full", "w");
    } catch {
      return context.skip("there is no /dev/full");
    }
    const child = start(full);
    await once(child, "message");
    child.send("go on");
    assert.strictEqual((await once(child, "exit"))[0], 0);
  });
});
