/** The service ended with exit code 1, and without a drain, when whoever read its log had left. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { assert, describe, it } from "vitest";

import { requestHttp1 } from "../support/raw-http.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The real service, with both of its outputs in pipes. */
const start = async (environment: Readonly<Record<string, string>> = {}) => {
  const child = spawn(process.execPath, ["src/service/main.ts"], {
    cwd: root,
    env: { ...process.env, MLXD_PORT: "0", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exit = once(child, "exit") as Promise<[number | null]>;
  let output = "";
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    output += String(chunk);
    const port = /ready at http:\/\/\S+:(\d+)/.exec(output)?.[1];
    if (port !== undefined) return { child, exit, port: Number(port) };
  }
  throw new Error(`the service ended before it was ready: ${output}`);
};

const isAnswering = async (port: number): Promise<boolean> => {
  const path = "/mlxd.v1.GenerationService/Generate";
  const headers = { "content-type": "application/json" };
  const body = '{"task":{"prompt":"1","stop":{"maxOutputTokens":1}}}';
  return (await requestHttp1(port, { path, headers, body })).status === 200;
};

describe("the reader of the log", { timeout: 180_000 }, () => {
  it.each([
    ["standard error", ["stderr"]],
    ["standard output", ["stdout"]],
    ["both", ["stdout", "stderr"]],
  ] as const)("may leave %s: the service goes on, and drains when it is told to", async (_what, streams) => {
    const { child, exit, port } = await start();
    try {
      for (const stream of streams) child[stream].destroy();
      // Each is a line or two in the log.
      for (let round = 0; round < 5; round++) {
        child.kill("SIGHUP");
        assert.isTrue(await isAnswering(port));
      }
      child.kill("SIGTERM");
      assert.strictEqual((await exit)[0], 0);
    } finally {
      child.kill("SIGKILL");
    }
  });
});
