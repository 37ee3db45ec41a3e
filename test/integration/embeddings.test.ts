/** Vectors through the whole service, compared with what MLX computed: see test/fixtures/embeddings/README.md. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest";

import { createMlxdClient, isMlxdError, type MlxdClient } from "../../src/client/node.ts";
import { type RunningService, startService } from "../support/running-service.ts";

const fixtures = fileURLToPath(new URL("../fixtures", import.meta.url));
const golden: ReadonlyArray<Readonly<Record<string, number[]>> & { readonly text: string; readonly ids: number[] }> =
  JSON.parse(readFileSync(join(fixtures, "embeddings/qwen3-embedding/golden_vectors.json"), "utf8"));
const texts = golden.map(({ text }) => text);

let folder = "";
let service: RunningService;
let client: MlxdClient;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-embeddings-"));
  const embedding = join(fixtures, "embeddings/qwen3-embedding");
  cpSync(embedding, join(folder, "embedding"), { recursive: true });
  cpSync(join(fixtures, "adapters/llama"), join(folder, "plain"), { recursive: true });
  cpSync(embedding, join(folder, "dense"), { recursive: true });
  const modules = join(folder, "dense/modules.json");
  const dense = { idx: 3, name: "3", path: "3_Dense", type: "sentence_transformers.models.Dense" };
  writeFileSync(modules, JSON.stringify([...JSON.parse(readFileSync(modules, "utf8")), dense]));
  cpSync(embedding, join(folder, "nested"), { recursive: true });
  const config = join(folder, "nested/config.json");
  writeFileSync(
    config,
    JSON.stringify({ ...JSON.parse(readFileSync(config, "utf8")), matryoshka_dimensions: [8, 16] }),
  );
  service = await startService({ MLXD_MODELS: folder, MLXD_PRELOAD: "embedding", MLXD_DEFAULT_MODEL: "embedding" });
  client = createMlxdClient({ baseUrl: service.url });
});
afterAll(async () => {
  client?.close();
  await service?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const assertClose = (values: readonly number[] | undefined, expected: readonly number[] | undefined): void => {
  assert.strictEqual(values?.length, expected?.length);
  for (const [index, value] of expected?.entries() ?? []) assert.closeTo(values?.[index] ?? NaN, value, 1e-4);
};

const failureOf = (call: Promise<unknown>) =>
  call.then(
    () => assert.fail("it succeeded"),
    (error: unknown) => {
      assert.isTrue(isMlxdError(error));
      return isMlxdError(error) ? { reason: error.reason, message: error.message } : {};
    },
  );

describe("a preparation", () => {
  it("asks a model that was trained for vectors for some, and not the question of the smoke test", async () => {
    const { report } = await client.loadModel("embedding");
    assert.strictEqual(report?.smokeTest?.quality, "ok");
    assert.match(report?.smokeTest?.answer ?? "", /^2 vectors of \d+ numbers$/);
    const { smokeTest, useCount } = await client.getModel("embedding");
    assert.strictEqual(smokeTest?.reason, "ok");
    assert.strictEqual(useCount, 0);
  });
});

describe("embeddings of a served model", () => {
  it("are what MLX computes, as the model's files say: its last token's, the end behind it, of length 1", async () => {
    const { embeddings, usage, pooling, normalized, model } = await client.embed(texts);
    assert.deepStrictEqual([pooling, normalized, model], ["last_token", true, "embedding"]);
    for (const [index, run] of golden.entries()) {
      assertClose(embeddings[index]?.values, run["last-token normalized"]);
      assert.strictEqual(embeddings[index]?.tokens, run.ids.length);
      assertClose((await client.embed(run.text)).embeddings[0]?.values, run["last-token normalized"]);
      assertClose((await client.embed([{ tokens: run.ids }])).embeddings[0]?.values, run["last-token normalized"]);
    }
    assert.strictEqual(
      usage.promptTokens,
      golden.reduce((sum, { ids }) => sum + ids.length, 0),
    );
    const { capabilities, embedding } = await client.getModel();
    assert.isTrue(capabilities?.embeddings);
    assert.deepInclude(embedding, { dimensions: 32, trained: true, matryoshka: false });
  });

  it("are pooled otherwise and left as they are where a call says so", async () => {
    const { embeddings } = await client.embed(texts, { pooling: "mean", normalize: false });
    for (const [index, run] of golden.entries()) assertClose(embeddings[index]?.values, run["mean"]);
    const error = await failureOf(client.embed("a", { pooling: "first_token" }));
    assert.strictEqual(error.reason, "UNSUPPORTED_PARAMETER");
    assert.include(error.message, "pooling");
  });

  it("come of a model that only generates as well, which says so", async () => {
    const { embeddings, pooling } = await client.embed("Hello", { model: "plain" });
    assert.strictEqual(pooling, "last_token");
    assert.closeTo(Math.hypot(...(embeddings[0]?.values ?? [])), 1, 1e-5);
    assert.isFalse((await client.getModel("plain")).embedding?.trained);
  });

  it("are cut where the model was trained for it, and refused elsewhere", async () => {
    const [{ "last-token": whole = [] } = {}] = golden as ReadonlyArray<Record<string, number[]>>;
    const { embeddings } = await client.embed(texts, { model: "nested", dimensions: 8 });
    const cut = whole.slice(0, 8);
    assertClose(
      embeddings[0]?.values,
      cut.map((value) => value / Math.hypot(...cut)),
    );
    assert.deepStrictEqual(await failureOf(client.embed("a", { model: "nested", dimensions: 9 })), {
      reason: "INVALID_FIELD",
      message: "dimensions: 9 is not allowed; it must be one of 8, 16, 32",
    });
    const other = await failureOf(client.embed("a", { dimensions: 8 }));
    assert.strictEqual(other.reason, "UNSUPPORTED_PARAMETER");
    assert.strictEqual((await client.embed("a", { dimensions: 32 })).embeddings[0]?.values.length, 32);
  });

  it("are refused of a model that has more parts than are known", async () => {
    assert.deepStrictEqual(await failureOf(client.embed("a", { model: "dense" })), {
      reason: "UNSUPPORTED_TASK",
      message:
        'model "dense" does not do embeddings; modules.json has a module Dense, which is not supported; ListSupportedTasks lists the models that do',
    });
    assert.isUndefined((await client.getModel("dense")).embedding);
  });

  it("are refused of a text over the context, or made of its beginning where that is asked for", async () => {
    const long = "hello ".repeat(2000);
    const error = await failureOf(client.embed(["a", long]));
    assert.strictEqual(error.reason, "CONTEXT_LENGTH_EXCEEDED");
    const { embeddings } = await client.embed(["a", long], { truncate: true });
    assert.deepStrictEqual(
      embeddings.map(({ truncated, tokens }) => [truncated, tokens]),
      [
        [false, 2],
        [true, 512],
      ],
    );
    // The end of sequence is there all the same.
    const { ids } = await client.tokenize(long.slice(0, 6000));
    const { embeddings: same } = await client.embed([{ tokens: [...ids.slice(0, 511), 1] }]);
    assertClose(embeddings[1]?.values, same[0]?.values);
  });

  it("do not stop a stream that runs, and one call of many leaves turns to others", async () => {
    const expected = await client.generate({ tokens: [20, 21, 22] }, stream);
    const many = client.embed(
      Array.from({ length: 256 }, (_, index) => `${texts[2]} ${index}`),
      { normalize: true },
    );
    let over = false;
    void many.then(() => (over = true));
    const beside = await client.generate({ tokens: [20, 21, 22] }, stream);
    assert.isFalse(over, "the stream waited for the whole batch");
    assert.deepStrictEqual(beside.tokenIds, expected.tokenIds);
    assert.strictEqual((await many).embeddings.length, 256);
  });

  it("end with their caller or its deadline, and leave nothing behind", async () => {
    const inputs = Array.from({ length: 256 }, () => texts[2] ?? "");
    const error = await failureOf(client.embed(inputs, { timeoutMs: 60 }));
    assert.strictEqual(error.reason, "DEADLINE");
    for (;;) {
      const { models, total } = await client.stats();
      if (total?.running === 0 && models.every(({ kvCacheBytes }) => kvCacheBytes === 0)) break;
      await client.embed("a");
    }
  });

  it("are computed by the next process where one dies under them", async () => {
    const inputs = Array.from({ length: 60 }, (_, index) => `${texts[2]} ${index}`);
    const expected = await client.embed(inputs);
    const running = client.embed(inputs);
    await client.embed("a");
    for (const pid of service.workers()) process.kill(pid, "SIGKILL");
    const { embeddings } = await running;
    for (const [index, { values }] of embeddings.entries()) assertClose(values, expected.embeddings[index]?.values);
  });
});

const stream = { temperature: 0, ignoreEos: true, maxOutputTokens: 10, tokenIds: true };
