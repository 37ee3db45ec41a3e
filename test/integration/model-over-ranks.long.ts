/**
 * A model that is spread over two ranks by mlx.launch, as one that is larger than a machine: what they answer is what one engine answers,
 * and where one rank dies both are started anew.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Effect } from "effect";
import { assert, describe, it } from "vitest";

import { createMlxdClient, MlxdError } from "../../src/client/node.ts";
import { freePort } from "../../src/service/engine/managed/free-port.ts";
import { errorOf } from "../support/error-of.ts";
import { mlxLm } from "../support/mlx-lm.ts";
import { startService } from "../support/running-service.ts";

const demo = fileURLToPath(new URL("../../models/demo", import.meta.url));

/** The Python processes that hold a part of the model: not the launcher, nor the shells around them. */
const ranksOf = (model: string): ReadonlyArray<number> =>
  execFileSync("ps", ["-A", "-o", "pid=,stat=,args="], { encoding: "utf8" })
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, state = "Z", program = "", script = ""]) => {
      return !state.startsWith("Z") && program.includes("python") && script.endsWith("mlx_lm.server");
    })
    .filter((line) => line.includes(model))
    .map(([pid]) => Number(pid));

describe("a model over two ranks", () => {
  it("answers as one engine does, and goes on when a rank was killed", async (context) => {
    const lm = await mlxLm();
    if (typeof lm === "string") return context.skip(lm);
    const folder = mkdtempSync(join(tmpdir(), "mlxd-ranks-"));
    mkdirSync(join(folder, "models"));
    cpSync(demo, join(folder, "models/demo"), { recursive: true });
    const model = join(folder, "models/demo");
    const port = String(await Effect.runPromise(freePort));
    const launch = [join(lm.programs, "mlx.launch"), "--backend", "ring", "-n", "2", "--starting-port", port, "--"];
    const serve = [join(lm.programs, "mlx_lm.server"), "--model", "{model}", "--host", "{host}", "--port", "{port}"];
    const command = [...launch, ...serve];
    writeFileSync(
      join(folder, "mlxd.yaml"),
      [
        "service: { models: models, default_model: demo }",
        "backends:",
        `  ring: { engine: mlx_lm_server, command: ${JSON.stringify(command)}, environment: ${JSON.stringify(lm.environment)} }`,
        `models: { spread: { backend: ring, model: ${JSON.stringify(model)}, context_length: 512 } }`,
      ].join("\n"),
    );
    const service = await startService({ MLXD_CONFIG: join(folder, "mlxd.yaml") });
    const client = createMlxdClient({ baseUrl: service.url, retry: false });
    try {
      const greedy = { temperature: 0, maxOutputTokens: 32 };
      const answer = async () => (await client.generate("Count from 1 to 5", { model: "spread", ...greedy })).text;
      const own = await client.generate("Count from 1 to 5", { model: "demo", ...greedy });
      assert.strictEqual(await answer(), own.text);
      const ranks = ranksOf(model);
      assert.lengthOf(ranks, 2);
      process.kill(ranks[1] ?? 0, "SIGKILL");
      // Starting anew takes seconds: who does not want to wait for it is told when to come again.
      const impatient = await errorOf(client.generate("2+2?", { model: "spread", ...greedy, maxQueueWaitMs: 100 }));
      assert.instanceOf(impatient, MlxdError);
      assert.strictEqual(impatient.code, "UNAVAILABLE");
      assert.isAbove(impatient.retryAfterMs ?? 0, 0);
      assert.strictEqual(await answer(), own.text);
      const after = ranksOf(model);
      assert.lengthOf(after, 2);
      for (const pid of ranks) assert.notInclude(after, pid);
    } finally {
      client.close();
      await service.stop();
      rmSync(folder, { recursive: true, force: true });
    }
    assert.deepStrictEqual(ranksOf(model), []);
  }, 1_200_000);
});
