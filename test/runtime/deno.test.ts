/** The web entry under Deno, against a real server: what a browser and an edge runtime share with it is `fetch`. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { assert, describe, it } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "../../src/client/gen/google/rpc/error_details_pb.ts";
import type { GenerationTask } from "../../src/client/gen/mlxd/v1/types_pb.ts";
import { saying } from "../support/scripted-events.ts";
import { startScriptedServer, untilLeft } from "../support/scripted-server.ts";
import { deno } from "../support/tools.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const env = { ...process.env, DENO_DIR: `${root}.cache/deno`, DENO_NO_UPDATE_CHECK: "1" };

const textOf = (task: GenerationTask | undefined): string => {
  const message = task?.input.case === "chat" ? task.input.value.messages[0] : undefined;
  const part = message?.content[0]?.part;
  return part?.case === "text" ? part.value : "";
};

describe("the client under Deno", () => {
  it("generates, streams, leaves, fails and lists as under Node", async () => {
    let left = 0;
    await using server = await startScriptedServer({
      httpVersion: "1.1",
      generate: async ({ task }, context) => {
        if (textOf(task) === "endless") await untilLeft(context);
        if (textOf(task) === "fail") {
          throw new ConnectError("full", Code.ResourceExhausted, undefined, [
            { desc: ErrorInfoSchema, value: { domain: "mlxd", reason: "QUEUE_FULL" } },
            { desc: RetryInfoSchema, value: { retryDelay: durationFromMs(60_000) } },
          ]);
        }
        return { result: { candidates: [{ text: "4 🍏" }], parameters: { seed: task?.sampling?.seed ?? 0 } } };
      },
      async *stream({ task }, context) {
        const events = saying("4 ", "🍏");
        if (textOf(task) === "2+2?") return yield* events;
        yield* events.slice(0, 2);
        if (textOf(task) === "endless") {
          await untilLeft(context);
          left++;
        }
        if (textOf(task) === "broken") yield* events.slice(3);
      },
      server: { getStats: () => ({ total: { cancelled: left } }) },
      models: { listModels: () => ({ models: [{ id: "demo" }] }) },
    });
    const program = fileURLToPath(new URL("deno-program.ts", import.meta.url));
    const args = ["run", "--no-lock", "--no-remote", "--allow-net", "--allow-env", program, server.url];
    const { stdout } = await promisify(execFile)(deno, args, {
      cwd: root,
      env,
      timeout: 120_000,
      killSignal: "SIGKILL",
    });
    assert.deepEqual(JSON.parse(stdout), {
      unary: "4 🍏",
      deltas: ["4 ", "🍏"],
      streamed: "4 🍏",
      aborted: "CANCELLED",
      failed: 60_000,
      late: "DEADLINE",
      broken: "PROTOCOL",
      model: "demo",
      sameInJson: true,
    });
  });
});
