import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";

import { readCheckpoint } from "../../../../src/service/checkpoint/read-checkpoint.ts";
import { factsOf, type FactsOverrides } from "../../../../src/service/models/catalog/checkpoint-facts.ts";
import { CheckpointInvalid } from "../../../../src/service/checkpoint/checkpoint-files.ts";
import { checkpointFiles, safetensors, tensors, writeCheckpoint } from "../../../fixtures/checkpoint.ts";
import { goldenNames, goldensDirectory, noGoldens } from "../../../support/goldens.ts";

let folder = "";
let written = 0;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-facts-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const facts = (changes: Readonly<Record<string, unknown>> = {}, name = "some-model") =>
  readCheckpointFacts(writeCheckpoint(join(folder, String(written++)), changes), name);

const config = (changes: object) => ({ "config.json": { ...(checkpointFiles["config.json"] as object), ...changes } });
const tokenizerConfig = (changes: object) => ({
  "tokenizer_config.json": { ...(checkpointFiles["tokenizer_config.json"] as object), ...changes },
});

const readCheckpointFacts = async (directory: string, name: string, overrides: FactsOverrides = {}) => {
  const { notes, ...checkpoint } = await readCheckpoint(directory);
  return { ...factsOf(checkpoint, name, overrides), notes };
};

describe("what a checkpoint folder says", () => {
  it("tells what the files say", async () => {
    const { directory, revision, defaults, ...rest } = await facts({}, "Qwen3-tiny");
    assert.isTrue(directory.startsWith(folder));
    assert.match(revision, /^[0-9a-f]{12}$/);
    assert.equal(defaults.temperature, 0.2);
    assert.deepEqual(rest, {
      notes: [],
      architecture: "qwen3",
      family: "qwen",
      contextLength: 512,
      vocabularySize: 268,
      engine: "mlx",
      parameterCount: 268 * 4 + 4,
      estimatedBytes: 4 * (268 * 4 + 4),
      eosTokenIds: [264, 266],
      capabilities: {
        chat: true,
        tools: false,
        vision: false,
        logprobs: true,
        adapters: true,
        embeddings: true,
        constraints: ["json_schema", "regex", "grammar", "choice", "json_object"],
      },
      embedding: { pooling: "last-token", dimensions: 0, trained: false, matryoshka: undefined, problem: undefined },
    });
  });

  it("gathers end-of-sequence tokens from all files, one or several, each once", async () => {
    const generation = { "generation_config.json": { eos_token_id: [7, 266] } };
    assert.deepEqual(
      (await facts({ ...generation, ...config({ eos_token_id: [264, 7] }) })).eosTokenIds,
      [7, 266, 264],
    );
    const bare = { ...config({ eos_token_id: null }), ...tokenizerConfig({ eos_token: "hello" }) };
    assert.deepEqual((await facts(bare)).eosTokenIds, [259]);
    const none = { ...config({ eos_token_id: null }), ...tokenizerConfig({ eos_token: null }) };
    assert.deepEqual((await facts(none)).eosTokenIds, []);
  });

  it("takes sampling defaults from generation_config.json before the family's", async () => {
    const stated = {
      temperature: 0.6,
      top_p: 0.95,
      top_k: 20,
      min_p: 0.1,
      repetition_penalty: 1.05,
      max_new_tokens: 99,
      stop_strings: "END",
    };
    const { defaults } = await facts({ "generation_config.json": stated }, "qwen");
    assert.deepEqual(defaults, {
      temperature: 0.6,
      topP: 0.95,
      topK: 20,
      minP: 0.1,
      repetitionPenalty: 1.05,
      maxOutputTokens: 99,
      presencePenalty: 0,
      frequencyPenalty: 0,
      stopSequences: ["<|im_end|>", "<|endoftext|>", "END"],
    });
  });

  it.each([
    ["temperature", 5, "0..2"],
    ["temperature", -1, "0..2"],
    ["top_p", 0, "over 0, and at most 1"],
    ["top_p", 1.5, "over 0, and at most 1"],
    ["top_k", -2, "1..4294967295"],
    ["min_p", 2, "0..1"],
    ["repetition_penalty", 0, "over 0, and at most 2"],
    ["repetition_penalty", 3, "over 0, and at most 2"],
    ["max_new_tokens", 0, "1..4294967295"],
  ])("leaves out a %s of %s, which no request may have, and says so", async (key, value, bounds) => {
    const [without, { notes, defaults }] = [await facts(), await facts({ "generation_config.json": { [key]: value } })];
    assert.deepEqual(defaults, without.defaults);
    assert.deepEqual(notes, [`${key} ${value} of generation_config.json is not used: it must be ${bounds}`]);
  });

  it("leaves out stop strings that no request may have, and ends of sequences that are no tokens", async () => {
    const stop_strings = ["", "END", "x".repeat(257)];
    const read = await facts({ "generation_config.json": { stop_strings, eos_token_id: [-1, 3, 268, 4e9] } });
    assert.deepEqual(read.defaults.stopSequences.slice(-1), ["END"]);
    assert.match(read.notes[0] ?? "", /^2 of stop_strings of generation_config\.json are not used/);
    assert.includeMembers([...read.eosTokenIds], [3]);
    assert.isTrue(read.eosTokenIds.every((id) => id >= 0 && id < 268));
  });

  it("reads greedy decoding and switched-off filters as what they mean", async () => {
    const { defaults } = await facts({ "generation_config.json": { do_sample: false, temperature: 0.6, top_k: 0 } });
    assert.equal(defaults.temperature, 0);
    assert.isUndefined(defaults.topK);
  });

  it.each([
    ["the model's positions", { max_position_embeddings: 512 }, { model_max_length: 1e30 }, 512],
    // DeepSeek-R1's distillations: 131,072 positions, and 16,384 left over in tokenizer_config.json.
    [
      "the model's positions, not the tokenizer's length",
      { max_position_embeddings: 512 },
      { model_max_length: 256 },
      512,
    ],
    [
      "the tokenizer's length where it is all there is",
      { max_position_embeddings: null },
      { model_max_length: 256 },
      256,
    ],
    ["8192 where no file tells", { max_position_embeddings: null }, { model_max_length: 1e30 }, 8192],
    [
      "a text model's inside another",
      { max_position_embeddings: null, text_config: { max_position_embeddings: 128 } },
      {},
      128,
    ],
  ])("takes as context length %s", async (_, inConfig, inTokenizer, expected) => {
    assert.equal((await facts({ ...config(inConfig), ...tokenizerConfig(inTokenizer) })).contextLength, expected);
  });

  it("takes a header of more tensors than a function takes arguments", async () => {
    const many = Array.from({ length: 130_000 }, (_, index) => [
      `model.layers.0.part.${index}`,
      tensors["model.norm.weight"],
    ]);
    const weights = safetensors({ ...tensors, ...Object.fromEntries(many) });
    assert.equal((await facts({ "model.safetensors": weights })).parameterCount, 268 * 4 + 4 + 130_000 * 4);
  });

  it("refuses a header of more tensors than the engine can read", async () => {
    const many = Array.from({ length: 131_073 }, (_, index) => [`t${index}`, { dtype: "F32", shape: [0] }]);
    const error = await facts({ "model.safetensors": safetensors(Object.fromEntries(many)) }).catch(
      (cause: unknown) => cause,
    );
    assert.instanceOf(error, CheckpointInvalid);
    assert.include(error.message, "has 131073 tensors; it must not have more than 131072");
  });

  it("counts a quantised matrix as what it unpacks to", async () => {
    const weights = safetensors({
      ...tensors,
      "a.weight": { dtype: "U32", shape: [16, 8] },
      "a.scales": { dtype: "F16", shape: [16, 1] },
      "a.biases": { dtype: "F16", shape: [16, 1] },
      "b.weight": { dtype: "U32", shape: [16, 16] },
      "b.scales": { dtype: "F16", shape: [16, 1] },
      "b.bias": { dtype: "F16", shape: [16] },
    });
    const quantization = { bits: 4, group_size: 64, b: { bits: 8, group_size: 64 }, c: false };
    const { parameterCount } = await facts({ "model.safetensors": weights, ...config({ quantization }) });
    assert.equal(parameterCount, 268 * 4 + 4 + 16 * 64 + 16 * 64 + 16);
  });

  it("counts the other forms of quantisation, wherever config.json tells of them", async () => {
    const packed = {
      "a.weight": { dtype: "U32", shape: [16, 8] },
      "a.scales": { dtype: "U8", shape: [16, 2] },
      "b.weight": { dtype: "U32", shape: [16, 12] },
      "b.scales": { dtype: "BF16", shape: [16, 1] },
      "b.biases": { dtype: "BF16", shape: [16, 1] },
    };
    const settings = { mode: "mxfp4", bits: 4, group_size: 32, b: { bits: 6, group_size: 64 } };
    const weights = { "model.safetensors": safetensors({ ...tensors, ...packed }) };
    for (const key of ["quantization", "quantization_config"]) {
      const { parameterCount } = await facts({ ...weights, ...config({ [key]: settings }) });
      assert.equal(parameterCount, 268 * 4 + 4 + 16 * 64 + 16 * 64, key);
    }
    const blocks = {
      "a.gate_up_proj_blocks": { dtype: "U8", shape: [2, 64, 1, 16] },
      "a.gate_up_proj_scales": { dtype: "U8", shape: [2, 64, 1] },
    };
    const original = await facts({
      "model.safetensors": safetensors({ ...tensors, ...blocks }),
      ...config({ quantization_config: { quant_method: "mxfp4" } }),
    });
    assert.equal(original.parameterCount, 268 * 4 + 4 + 2 * 64 * 32);
  });

  it("reads shards by their index", async () => {
    const index = { weight_map: { "a.weight": "one.safetensors", "b.weight": "two.safetensors" } };
    const { parameterCount } = await facts({
      "model.safetensors.index.json": index,
      "one.safetensors": safetensors({ "a.weight": { dtype: "F32", shape: [2, 3] } }),
      "two.safetensors": safetensors({ "b.weight": { dtype: "F32", shape: [5] } }),
    });
    assert.equal(parameterCount, 11);
  });

  it("leaves out what lies beside a model's own files, as the engine does", async () => {
    const beside = { "consolidated.safetensors": safetensors(tensors) };
    const [withOthers, alone] = [await facts(beside), await facts()];
    assert.equal(withOthers.parameterCount, alone.parameterCount);
    assert.equal(withOthers.revision, alone.revision);
  });

  it("knows by its template whether a model takes tools", async () => {
    const template = "{% for tool in tools or [] %}{{ tool.function.name }}{% endfor %}";
    assert.isTrue((await facts(tokenizerConfig({ chat_template: template }))).capabilities.tools);
    assert.isTrue((await facts({ "chat_template.jinja": template })).capabilities.tools);
    assert.isTrue((await facts({ "chat_template.json": { chat_template: template } })).capabilities.tools);
    assert.isFalse((await facts(tokenizerConfig({ chat_template: undefined }))).capabilities.tools);
  });

  it("has a revision that changes with each of its files", async () => {
    const revisions = await Promise.all(
      [
        {},
        config({ rope_theta: 5 }),
        tokenizerConfig({ padding: "x" }),
        { "generation_config.json": {} },
        { "chat_template.jinja": "x" },
        { "model.safetensors": safetensors({ ...tensors, "b.weight": { dtype: "F32", shape: [5] } }) },
      ].map(async (changes) => (await facts(changes)).revision),
    );
    assert.equal(new Set(revisions).size, revisions.length);
    assert.equal((await facts()).revision, revisions[0]);
  });

  it("counts the goldens' parameters: quantised or not they are the same", async (context) => {
    if (goldenNames.length === 0) context.skip(noGoldens);
    const [quantised, plain] = await Promise.all(
      ["qwen3-4bit", "qwen3"].map((name) => readCheckpointFacts(join(goldensDirectory, name), name)),
    );
    assert.equal(quantised?.parameterCount, plain?.parameterCount);
  });
});

describe("a broken checkpoint", () => {
  const weights = checkpointFiles["model.safetensors"] as Buffer;
  const hugeHeader = Buffer.from(weights);
  hugeHeader.writeBigUInt64LE(2n ** 60n);

  it.each<[string, Record<string, unknown>, string]>([
    ["without config.json", { "config.json": undefined }, "config.json is missing"],
    ["with JSON that is none", { "config.json": '{"model_type": ' }, "config.json is not valid JSON"],
    ["without model_type", { "config.json": {} }, 'config.json is not as expected: Missing key at ["model_type"]'],
    ["with a vocabulary of no size", config({ vocab_size: 0 }), "config.json is not as expected"],
    ["without tokenizer.json", { "tokenizer.json": undefined }, "tokenizer.json is missing"],
    [
      "with a broken generation_config.json",
      { "generation_config.json": "[" },
      "generation_config.json is not valid JSON",
    ],
    ["without weights", { "model.safetensors": undefined }, "model.safetensors is missing"],
    [
      "with an empty weights file",
      { "model.safetensors": "" },
      "model.safetensors is truncated or not a safetensors file",
    ],
    ["with a cut header", { "model.safetensors": weights.subarray(0, 40) }, "model.safetensors is truncated or not"],
    ["with a header of absurd length", { "model.safetensors": hugeHeader }, "model.safetensors is truncated or not"],
    [
      "with cut data",
      { "model.safetensors": weights.subarray(0, -1) },
      "model.safetensors is truncated: tensor model.norm.weight is cut off",
    ],
    [
      "with a shard missing",
      { "model.safetensors.index.json": { weight_map: { a: "gone.safetensors" } } },
      "model.safetensors.index.json names gone.safetensors, which is missing",
    ],
    [
      "with an index of nothing",
      { "model.safetensors.index.json": { weight_map: {} } },
      "model.safetensors.index.json names no file",
    ],
    [
      "with quantised weights of unknown bits",
      {
        "model.safetensors": safetensors({
          "a.weight": { dtype: "U32", shape: [1, 1] },
          "a.scales": { dtype: "F32", shape: [1, 1] },
        }),
      },
      "config.json does not tell the bits of quantised a",
    ],
    ["with a broken tokenizer", { "tokenizer.json": '{"added_tokens": [' }, "tokenizer.json is not valid JSON"],
    ["with a tokenizer of another kind", { "tokenizer.json": {} }, "tokenizer.json is not as expected"],
    [
      "with fewer layers than config.json tells",
      {
        ...config({ num_hidden_layers: 2 }),
        "model.safetensors": safetensors({ "model.layers.0.mlp.weight": { dtype: "F32", shape: [1, 1] } }),
      },
      "config.json tells 2 layers, the weights have 1: they are another model's",
    ],
    [
      "with weights of another vocabulary",
      config({ vocab_size: 300 }),
      "config.json tells 300 tokens, the weights have 268: they are another model's",
    ],
  ])("%s is told by its file, without a path", async (_, changes, expected) => {
    const error = await facts(changes).then(
      () => assert.fail("was read"),
      (reason: unknown) => reason,
    );
    assert.instanceOf(error, CheckpointInvalid);
    const { message } = error;
    assert.include(message, expected);
    assert.notInclude(message, folder);
  });
});
