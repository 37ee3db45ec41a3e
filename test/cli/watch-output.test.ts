/** A full disk showed a stack trace with paths of the sources. */
import { once } from "node:events";
import { existsSync } from "node:fs";
import { assert, describe, it } from "vitest";
import { runCommand, runInto, startCommand } from "../support/mlxd-command.ts";
import { numbered, saying, startedEvent, chunkEvent } from "../support/scripted-events.ts";
import { startScriptedServer, untilLeft } from "../support/scripted-server.ts";

const full = "/dev/full";
const noFull = "there is no /dev/full";

describe("output that cannot be written", () => {
  it.for([["generate", "hi"], ["generate", "hi", "--json"], ["models"], ["--help"], ["models", "-h"]])(
    "%j is told in one line, and the command has failed",
    async (args, context) => {
      if (!existsSync(full)) context.skip(noFull);
      await using server = await startScriptedServer({
        async *stream() {
          yield* saying("a", "b", "c");
        },
        models: { listModels: () => ({ models: [{ id: "demo" }] }) },
      });
      const ended = await runInto(args, full, { MLXD_SERVER: server.url });
      assert.deepEqual(ended, { exitCode: 1, stdout: "", stderr: "mlxd: cannot write: ENOSPC\n" });
    },
  );

  it("ends a generation on the server", async (context) => {
    if (!existsSync(full)) context.skip(noFull);
    await using server = await startScriptedServer({
      async *stream(_request, call) {
        yield* numbered([startedEvent(), chunkEvent("endless", 1)]);
        await untilLeft(call);
      },
    });
    const { exitCode } = await runInto(["generate", "hi"], full, { MLXD_SERVER: server.url });
    assert.equal(exitCode, 1);
    await (
      await server.call(0)
    ).left;
  });

  it("shows no trace either where the notes cannot be written", async (context) => {
    if (!existsSync(full)) context.skip(noFull);
    const nobody = { MLXD_SERVER: "http://127.0.0.1:1" };
    assert.equal((await runInto(["models"], "/dev/null", nobody, full)).exitCode, 1);
  });

  it("is no failure where the reader has what it wants", async () => {
    await using server = await startScriptedServer({
      async *stream(_request, call) {
        yield* numbered([startedEvent(), chunkEvent("first\n", 1)]);
        for (let n = 2; !call.signal.aborted; n++) {
          await new Promise((resolve) => setTimeout(resolve, 5));
          yield { ...chunkEvent("more\n", n), sequence: n };
        }
      },
    });
    const { process: child, says, ended } = startCommand(["generate", "hi", "--server", server.url]);
    ended.catch(() => {}); // its standard output is cut off below
    const exited = once(child, "exit");
    await says(/first/);
    child.stdout.destroy();
    assert.deepEqual(await exited, [0, null]);
  });
});

describe("input that cannot be read", () => {
  it("is told in one line", async () => {
    const latin1 = await runCommand(
      ["generate"],
      { MLXD_SERVER: "http://127.0.0.1:1" },
      Buffer.from("caf\xe9", "latin1"),
    );
    assert.equal(latin1.exitCode, 1);
    assert.equal(latin1.stderr, "mlxd: standard input is not UTF-8 text; iconv converts other encodings\n");
  });
});
