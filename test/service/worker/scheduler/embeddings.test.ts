/** Vectors against what MLX computes in Python, alone and in batches: see test/fixtures/embeddings/README.md. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { assert, describe, it } from "@effect/vitest";

import type { Model } from "../../../../src/service/worker/architectures/Model.ts";
import { loadCheckpoint } from "../../../../src/service/worker/checkpoint.ts";
import { collectBetweenSteps } from "../../../../src/service/worker/mlx.ts";
import type { EmbeddingRequest } from "../../../../src/service/worker/protocol/submit-message.ts";
import { Scheduler } from "../../../../src/service/worker/scheduler/scheduler.ts";
import { drive, limits, submission } from "../scheduler-run.ts";

const fixtures = fileURLToPath(new URL("../../../fixtures", import.meta.url));
const read = (path: string) => JSON.parse(readFileSync(join(fixtures, path), "utf8"));

type Golden = { readonly ids: readonly number[] } & Readonly<Record<string, readonly number[]>>;

const goldens: Readonly<Record<string, readonly Golden[]>> = {
  ...read("embeddings/golden_vectors.json"),
  "../embeddings/qwen3-embedding": read("embeddings/qwen3-embedding/golden_vectors.json"),
};
const poolings = ["last-token", "mean", "first-token"] as const;
const tolerance = 1e-4;

const embedding = (sequence: number, ids: readonly number[], request: EmbeddingRequest) =>
  submission(sequence, ids, {
    maxOutputTokens: 0,
    cache: { read: false, write: false, partition: "" },
    embedding: request,
  });

const assertClose = (vector: Float32Array | undefined, expected: readonly number[] | undefined, what: string): void => {
  assert.strictEqual(vector?.length, expected?.length, what);
  for (const [index, value] of expected?.entries() ?? [])
    assert.closeTo(vector?.[index] ?? NaN, value, tolerance, what);
};

const scheduler = (model: Model, overrides: Partial<typeof limits> = {}) =>
  new Scheduler(model, { ...limits, ...overrides }, () => 0);

describe("embeddings", () => {
  for (const [name, runs] of Object.entries(goldens)) {
    it(`of ${name} are what MLX computes, each alone and all of them in mixed lengths, in slices too`, async () => {
      const model = await loadCheckpoint(join(fixtures, "adapters", name));
      const requests = runs.flatMap(({ ids }, run) =>
        poolings.flatMap((pooling) =>
          [true, false].map((normalize) => ({ run, pooling, normalize, ids: ids.map(Number) })),
        ),
      );
      const expected = requests.map(
        ({ run, pooling, normalize }) => runs[run]?.[`${pooling}${normalize ? " normalized" : ""}`],
      );
      const all = requests.map(({ ids, ...request }, index) => embedding(index, ids, request));
      for (const batch of [...all.map((one) => [one]), all, all.toReversed()]) {
        const own = scheduler(model);
        for (const one of batch) own.submit(one);
        // What streams keeps the slices short: 16 tokens, over all rows.
        if (batch.length > 1) own.submit(submission(1000, [5], { maxOutputTokens: 60 }));
        const outputs = await drive(own);
        for (const { sequence } of batch) {
          const { pooling, normalize, ids } = requests[sequence] ?? {};
          const what = `${pooling} ${normalize} ${ids?.length} in ${batch.length}`;
          assertClose(outputs.get(sequence)?.vector, expected[sequence], what);
          assert.deepStrictEqual(outputs.get(sequence)?.tokenIds, [], what);
        }
        assert.strictEqual(own.kvCacheBytes, 0);
      }
    });
  }

  it("are cut to their first numbers before they are normalised", async () => {
    const golden = goldens["llama"]?.[0];
    const { ids = [] } = golden ?? {};
    const own = scheduler(await loadCheckpoint(join(fixtures, "adapters/llama")));
    own.submit(embedding(1, ids, { pooling: "mean", normalize: true, dimensions: 8 }));
    const cut = golden?.["mean"]?.slice(0, 8) ?? [];
    const length = Math.hypot(...cut);
    assertClose(
      (await drive(own)).get(1)?.vector,
      cut.map((value) => value / length),
      "8",
    );
  });

  it("change no stream that runs beside them, and streams go on while many are computed", async () => {
    const model = await loadCheckpoint(join(fixtures, "adapters/llama"));
    const stream = submission(1, [20, 21, 22], { maxOutputTokens: 60 });
    const alone = scheduler(model);
    alone.submit(stream);
    const expected = (await drive(alone)).get(1)?.tokenIds;
    const own = scheduler(model);
    own.submit(stream);
    own.step();
    own.takeEvents();
    const long = Array.from({ length: 100 }, (_, index) => (index * 7) % 288);
    for (let sequence = 2; sequence < 8; sequence++) {
      own.submit(embedding(sequence, long, { pooling: "mean", normalize: true }));
    }
    const tokens: number[] = [];
    let vectors = 0;
    let stepsWithout = 0;
    while (!own.idle) {
      own.step();
      const events = own.takeEvents();
      const token = events.find((event) => event.type === "token");
      if (token?.type === "token") tokens.push(token.tokenId);
      else if (tokens.length < 60) stepsWithout += 1;
      vectors += events.filter(({ type }) => type === "embedding").length;
      await collectBetweenSteps(1);
    }
    assert.strictEqual(vectors, 6);
    assert.isAtMost(stepsWithout, 1);
    // The first token came with the step before.
    assert.deepStrictEqual(tokens, expected?.slice(-tokens.length));
    assert.isAtLeast(tokens.length, 59);
  });

  it("are dropped when they are cancelled, and refused where they can never fit", async () => {
    const model = await loadCheckpoint(join(fixtures, "adapters/llama"));
    const own = scheduler(model);
    const request = { pooling: "mean", normalize: true } as const;
    own.submit(submission(1, [5], { maxOutputTokens: 100 }));
    own.step();
    const ids = Array.from({ length: 60 }, (_, index) => index);
    own.submit(embedding(2, ids, request));
    own.submit(embedding(3, ids, request));
    own.step();
    own.cancel(2);
    const outputs = await drive(own);
    assert.isUndefined(outputs.get(2)?.vector);
    const other = scheduler(model);
    other.submit(embedding(3, ids, request));
    const expected = (await drive(other)).get(3)?.vector;
    assert.strictEqual(expected?.length, 32);
    assertClose(outputs.get(3)?.vector, [...(expected ?? [])], "beside others");
    const small = scheduler(model, { kvCacheBytes: 1000 });
    small.submit(embedding(4, ids, request));
    assert.strictEqual((await drive(small)).get(4)?.end, "refused");
  });
});
