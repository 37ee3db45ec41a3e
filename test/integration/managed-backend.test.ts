/**
 * mlx_lm.server from PyPI as a server that mlxd starts: what it answers is what the service's own engine answers, it is started anew when
 * it is killed, and nothing is left of it.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, assert, beforeEach, describe, it } from "vitest";

import { createMlxdClient } from "../../src/client/node.ts";
import { goldenNames, goldensDirectory } from "../support/goldens.ts";
import { mlxLm } from "../support/mlx-lm.ts";
import { type RunningService, startService } from "../support/running-service.ts";

const demo = fileURLToPath(new URL("../../models/demo", import.meta.url));
const golden = "qwen2";

let folder = "";
let service: RunningService | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-managed-"));
  mkdirSync(join(folder, "models"));
  cpSync(demo, join(folder, "models/demo"), { recursive: true });
  if (goldenNames.includes(golden)) {
    cpSync(join(goldensDirectory, golden), join(folder, "models", golden), { recursive: true });
    nameEveryToken(join(folder, "models", golden));
  }
});
afterEach(async () => {
  await service?.stop();
  service = undefined;
  rmSync(folder, { recursive: true, force: true });
});

/** Those whose command names the model's folder: of a virtual environment, not the shells that look after them. */
const servers = (): ReadonlyArray<number> =>
  execFileSync("ps", ["-A", "-o", "pid=,stat=,args="], { encoding: "utf8" })
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, state, program]) => state !== undefined && !state.startsWith("Z") && /python/.test(program ?? ""))
    .filter((line) => line.join(" ").includes(`--model ${folder}/`))
    .map(([pid]) => Number(pid));

/**
 * A checkpoint of random weights writes ids that its tokenizer has no token for, which are no text here and `!` in mlx-lm: in this
 * copy each has one.
 */
const nameEveryToken = (path: string): void => {
  const { vocab_size: size } = JSON.parse(readFileSync(join(path, "config.json"), "utf8")) as { vocab_size: number };
  const file = join(path, "tokenizer.json");
  const tokenizer = JSON.parse(readFileSync(file, "utf8")) as {
    readonly model: { readonly vocab: Readonly<Record<string, number>> };
    readonly added_tokens: { readonly id: number }[];
  };
  const known = new Set([...Object.values(tokenizer.model.vocab), ...tokenizer.added_tokens.map(({ id }) => id)]);
  const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: false };
  for (let id = 0; id < size; id++) {
    if (!known.has(id)) tokenizer.added_tokens.push(Object.assign({ id, content: `<t${id}>` }, plain));
  }
  writeFileSync(file, JSON.stringify(tokenizer));
};

const start = async (programs: string, environment: Readonly<Record<string, string>>) => {
  const settings = JSON.stringify(environment);
  const names = ["demo", ...(goldenNames.includes(golden) ? [golden] : [])];
  const models = names.map(
    (name) => `  ${name}-lm: { backend: lm, model: ${folder}/models/${name}, context_length: 512, ttl: 1h }`,
  );
  const command = [join(programs, "mlx_lm.server"), "--model", "{model}", "--host", "{host}", "--port", "{port}"];
  writeFileSync(
    join(folder, "mlxd.yaml"),
    [
      "service: { models: models, default_model: demo }",
      "backends:",
      `  lm: { engine: mlx_lm_server, command: ${JSON.stringify(command)}, environment: ${settings}, permits: 4 }`,
      "models:",
      ...models,
    ].join("\n"),
  );
  service = await startService({ MLXD_CONFIG: join(folder, "mlxd.yaml") });
  return { running: service, names, client: createMlxdClient({ baseUrl: service.url }) };
};

describe("mlx_lm.server that mlxd starts", () => {
  it("is prepared stage by stage, answers as the own engine does, and is started anew when it is killed", async (context) => {
    const lm = await mlxLm();
    if (typeof lm === "string") return context.skip(lm);
    const { running, names, client } = await start(lm.programs, lm.environment);
    assert.deepStrictEqual(servers(), []);

    const stages: string[] = [];
    const preparation = client.prepareModel("demo-lm");
    for await (const event of preparation) if (event.type === "stage") stages.push(event.stage);
    const report = await preparation.collect();
    assert.strictEqual(report.stage, "ready", JSON.stringify(report.error ?? report.smokeTest));
    assert.deepStrictEqual(stages, [
      "resolving",
      "engine_check",
      "server_starting",
      "model_serving",
      "model_loading",
      "smoke_test",
      "ready",
    ]);
    assert.isAbove(Number(report.model?.residentBytes ?? 0), 50 * 1024 ** 2);
    assert.isAbove(Number(report.model?.reservedBytes ?? 0), 50 * 1024 ** 2);

    for (const name of names) {
      for (const question of ["What is 2+2?", "Count from 1 to 5", "한국어로 한 문장만 답해. 2+2는?"]) {
        const options = { temperature: 0, maxOutputTokens: 32 };
        const own = await client.generate(question, { model: name, ...options });
        const theirs = await client.generate(question, { model: `${name}-lm`, ...options });
        assert.strictEqual(theirs.text, own.text, `${name}: ${question}`);
        assert.strictEqual(theirs.usage.outputTokens, own.usage.outputTokens);
      }
    }
    assert.lengthOf(servers(), names.length);

    const [before = 0] = servers();
    let error: unknown;
    try {
      for await (const event of client.stream("Count from 1 to 20", { model: "demo-lm" })) {
        if (event.type === "chunk" && event.text !== "") for (const pid of servers()) process.kill(pid, "SIGKILL");
      }
    } catch (cause) {
      error = cause;
    }
    assert.deepInclude(error, { reason: "ENGINE_LOST" });
    const { text } = await client.generate("What is 2+2?", { model: "demo-lm" });
    assert.include(text, "4");
    assert.notInclude(servers(), before);

    await client.unloadModel("demo-lm");
    assert.isAtMost(servers().length, names.length - 1);
    client.close();
    assert.strictEqual(await running.stop(), 0);
    assert.deepStrictEqual(servers(), []);
  }, 900_000);

  it("ends with a service that is killed", async (context) => {
    const lm = await mlxLm();
    if (typeof lm === "string") return context.skip(lm);
    const { running, client } = await start(lm.programs, lm.environment);
    await client.loadModel("demo-lm");
    assert.lengthOf(servers(), 1);
    client.close();
    running.process.kill("SIGKILL");
    while (servers().length > 0) await new Promise((resolve) => setTimeout(resolve, 100));
  }, 900_000);
});
