import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, assert, describe, it } from "@effect/vitest";

import { CheckpointInvalid } from "../../../src/service/checkpoint/checkpoint-files.ts";
import { readEmbeddingFacts } from "../../../src/service/checkpoint/embedding-facts.ts";

const made: string[] = [];
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true });
});

const read = (files: Readonly<Record<string, unknown>>, config: object = {}) => {
  const folder = mkdtempSync(join(tmpdir(), "mlxd-embedding-"));
  made.push(folder);
  for (const [name, value] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), JSON.stringify(value));
  }
  return readEmbeddingFacts(folder, { hidden_size: 64, ...config });
};

const pooling = (...modes: ReadonlyArray<string>) => ({
  "1_Pooling/config.json": {
    word_embedding_dimension: 64,
    pooling_mode_max_tokens: false,
    ...Object.fromEntries(modes.map((mode) => [`pooling_mode_${mode}`, true])),
  },
});
const modules = (...names: ReadonlyArray<string>) => ({
  "modules.json": names.map((name, idx) => ({
    idx,
    name: `${idx}`,
    path: name === "Pooling" ? "1_Pooling" : "",
    type: `sentence_transformers.models.${name}`,
  })),
});

describe("readEmbeddingFacts", () => {
  it("takes the last token's of a model that only generates", async () => {
    assert.deepStrictEqual(await read({}), {
      pooling: "last-token",
      dimensions: 64,
      trained: false,
      matryoshka: undefined,
      problem: undefined,
    });
  });

  for (const [mode, expected] of [
    ["lasttoken", "last-token"],
    ["mean_tokens", "mean"],
    ["cls_token", "first-token"],
  ] as const) {
    it(`pools by ${mode} where the files say so, with and without modules.json`, async () => {
      const listed = modules("Transformer", "Pooling", "Normalize");
      for (const files of [pooling(mode), { ...pooling(mode), ...listed }]) {
        assert.deepInclude(await read(files), { pooling: expected, trained: true, problem: undefined });
      }
    });
  }

  const refused: ReadonlyArray<readonly [string, Parameters<typeof read>, string]> = [
    ["another pooling", [pooling("max_tokens")], "it pools by pooling_mode_max_tokens, which is not supported"],
    [
      "two poolings",
      [pooling("mean_tokens", "lasttoken")],
      "it pools by pooling_mode_mean_tokens and pooling_mode_lasttoken, which is not supported",
    ],
    ["no pooling", [pooling()], "it pools by nothing, which is not supported"],
    [
      "a module of weights",
      [{ ...pooling("mean_tokens"), ...modules("Transformer", "Pooling", "Dense") }],
      "modules.json has a module Dense, which is not supported",
    ],
    [
      "attention in both directions",
      [{}, { use_bidirectional_attention: true }],
      "its attention looks ahead, which is not supported",
    ],
  ];
  for (const [what, args, problem] of refused) {
    it(`says that it makes none with ${what}`, async () => {
      assert.strictEqual((await read(...args)).problem, problem);
    });
  }

  it("tells the lengths that vectors may be cut to", async () => {
    assert.deepStrictEqual((await read({}, { is_matryoshka: true })).matryoshka, []);
    assert.deepStrictEqual((await read({}, { matryoshka_dimensions: [8, 16] })).matryoshka, [8, 16]);
    assert.isUndefined((await read({}, { is_matryoshka: false })).matryoshka);
  });

  it("refuses a file that is none, by its name, and reads none outside of the folder", async () => {
    const broken = await read({ "modules.json": { no: "list" } }).catch((error: unknown) => error);
    assert.instanceOf(broken, CheckpointInvalid);
    assert.match(String(broken), /modules\.json is not as expected/);
    const path = "../outside";
    const outside = [{ path, type: "sentence_transformers.models.Pooling" }];
    assert.deepInclude(await read({ "modules.json": outside }), { trained: false, pooling: "last-token" });
  });
});
