import { assert, describe, it } from "@effect/vitest";
import { Result } from "effect";

import { identifyModel, identityAfterLoad, modelKey } from "../../../src/service/domain/model-identity.ts";

const identify = (...args: Parameters<typeof identifyModel>) => Result.getOrThrow(identifyModel(...args));

/** What each stage calls a model. */
const idsOf = (...args: Parameters<typeof identifyModel>) => {
  const { provider, resolvedModel, downloadId, loadId, expectedCurrent, displayName } = identify(...args);
  return [provider, resolvedModel, downloadId, loadId, expectedCurrent, displayName];
};

const repository = "mlx-community/gpt-oss-20b-MXFP4-Q4";
/** Short names, as an operator would list them. */
const aliases: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "gpt-oss-20b": { local_mlx: repository, ollama: "gpt-oss:20b" },
};
const aliasOf = (model: string, provider: string) => aliases[model.toLowerCase()]?.[provider];

describe("identifyModel", () => {
  it.each([
    ["a plain id", "qwen3", {}, ["local_mlx", "qwen3", "qwen3", "qwen3", "qwen3", "qwen3"]],
    ["blank space around it", " qwen3\n", {}, ["local_mlx", "qwen3", "qwen3", "qwen3", "qwen3", " qwen3\n"]],
    [
      "an engine hint",
      "qwen3",
      { engineHint: " Ollama " },
      "ollama qwen3 qwen3 ollama:qwen3 ollama:qwen3 qwen3".split(" "),
    ],
    ["a hint by another name", "m", { engineHint: "llama.cpp" }, "llamacpp m m llamacpp:m llamacpp:m m".split(" ")],
    ["a prefix", "vllm:org/m", {}, "vllm org/m org/m vllm:org/m vllm:org/m vllm:org/m".split(" ")],
    ["a prefix that beats the hint", "mlx:m", { engineHint: "ollama" }, "local_mlx m m m m mlx:m".split(" ")],
    [
      "a hosted provider",
      "openai:gpt-4o",
      {},
      "openai gpt-4o gpt-4o openai:gpt-4o openai:gpt-4o openai:gpt-4o".split(" "),
    ],
    [
      "an unknown prefix",
      "gpt-oss:20b",
      {},
      "local_mlx gpt-oss:20b gpt-oss:20b gpt-oss:20b gpt-oss:20b gpt-oss:20b".split(" "),
    ],
    [
      "a prefix with a colon",
      "lmstudio:openai-compatible:m:1",
      {},
      "lmstudio m:1 m:1 lmstudio:m:1 lmstudio:m:1 lmstudio:openai-compatible:m:1".split(" "),
    ],
    [
      "an alias of one engine",
      "GPT-OSS-20b",
      { aliasOf },
      ["local_mlx", repository, repository, repository, repository, "GPT-OSS-20b"],
    ],
    [
      "an alias of another",
      "ollama:gpt-oss-20b",
      { aliasOf },
      "ollama gpt-oss:20b gpt-oss:20b ollama:gpt-oss:20b ollama:gpt-oss:20b ollama:gpt-oss-20b".split(" "),
    ],
    [
      "an alias that moves it to another engine",
      "m",
      { aliasOf: () => "ollama:m:1" },
      "ollama m:1 m:1 ollama:m:1 ollama:m:1 m".split(" "),
    ],
    [
      "an alias with a hosted prefix",
      "m",
      { aliasOf: () => "openai:m" },
      "local_mlx openai:m openai:m openai:m openai:m m".split(" "),
    ],
    [
      "an alias with an engine and nothing else",
      "m",
      { aliasOf: () => "ollama:" },
      "local_mlx ollama: ollama: ollama: ollama: m".split(" "),
    ],
    ["an empty alias", "m", { aliasOf: () => " " }, "local_mlx m m m m m".split(" ")],
    ["no alias", "m", { aliasOf: () => undefined }, "local_mlx m m m m m".split(" ")],
    ["an owner here", "m", { owner: "a@b.c" }, "local_mlx m m m m m".split(" ")],
    ["an owner elsewhere", "ollama:m", { owner: "a@b.c" }, "ollama m m ollama:m ollama:m::a@b.c ollama:m".split(" ")],
  ] as const)("gives one identity to %s", (_, id, options, expected) => {
    assert.deepStrictEqual(idsOf(id, options), expected);
    assert.strictEqual(identify(id, options).inputId, id);
    assert.strictEqual(identify(id, options).engine, identify(id, options).provider);
  });

  it("is not harmed by aliases that cannot be had", () => {
    const aliasOf = () => {
      throw new Error("no such file");
    };
    assert.deepStrictEqual(idsOf("m", { aliasOf }), idsOf("m"));
  });

  it("keeps the engine that was hinted at", () => {
    assert.deepStrictEqual(identify("m").metadata, { engine_hint: "" });
    assert.deepStrictEqual(identify("ollama:m", { engineHint: "mlx" }).metadata, { engine_hint: "mlx" });
  });

  it.each(["", " \n", "mlx:", " ollama: "])("refuses %o", (id) => {
    const error = Result.getOrThrow(Result.flip(identifyModel(id)));
    assert.strictEqual(error.message, "model: model identifier is empty");
  });

  it("refuses a hint that is no engine's name", () => {
    const error = Result.getOrThrow(Result.flip(identifyModel("m", { engineHint: "torch" })));
    assert.deepInclude(error, { _tag: "UnknownBackend", backend: "torch" });
  });
});

describe("identityAfterLoad", () => {
  const before = identify("ollama:llama3");

  it("takes the instance that the engine has made", () => {
    assert.deepStrictEqual(identityAfterLoad(before, "ollama:llama3:8b::2"), {
      ...before,
      expectedCurrent: "ollama:llama3:8b::2",
      loadId: "ollama:llama3:8b",
      resolvedModel: "llama3:8b",
    });
  });

  it("takes an id without an engine for what is current, and for nothing else", () => {
    const own = identify("qwen");
    assert.deepStrictEqual(identityAfterLoad(own, "chat"), { ...own, expectedCurrent: "chat" });
    assert.deepStrictEqual(identityAfterLoad(own, "gpt-oss:20b"), { ...own, expectedCurrent: "gpt-oss:20b" });
  });

  it("changes nothing without one", () => {
    assert.strictEqual(identityAfterLoad(before, ""), before);
  });
});

describe("modelKey", () => {
  it.each([
    ["mlx", "demo", "local_mlx:demo"],
    [" Local-MLX ", "demo", "local_mlx:demo"],
    ["LM-Studio", "org/m:1", "lmstudio:org/m:1"],
    [" Torch ", "m", "torch:m"],
    ["", "m", "m"],
    ["  ", "m", "m"],
  ])("of the engine %o and %s is %s", (engine, id, key) => {
    assert.strictEqual(modelKey(engine, id), key);
  });
});
