import { assert, describe, it } from "@effect/vitest";
import { Result } from "effect";
import * as fc from "fast-check";

import { canonicalEngine, engineNames, splitEnginePrefix } from "../../../../src/service/domain/engine-names.ts";
import { resolveName } from "../../../../src/service/models/names/resolve-name.ts";

const model = (id: string, ...aliases: readonly string[]) => ({
  id,
  aliases,
  source: id.replace("--", "/"),
  engine: "mlx" as const,
});
const models = [
  model("mlx-community--Qwen3-8B-4bit", "Qwen3-8B-4bit", "Qwen3-8B"),
  model("demo", "gpt-oss:20b"),
  model("Demo"),
  model("llama-3.2-1b"),
];
const idOf = (name: string) => Result.getOrUndefined(resolveName(models, name))?.id;
const failureOf = (name: string, known = models) => Result.getOrUndefined(Result.flip(resolveName(known, name)));

describe("resolveName", () => {
  it.each([
    ["an id", "demo", "demo"],
    ["the exact one of two ids", "Demo", "Demo"],
    ["an id in another case", "LLAMA-3.2-1B", "llama-3.2-1b"],
    ["an alias", "Qwen3-8B", "mlx-community--Qwen3-8B-4bit"],
    ["an alias in another case", "qwen3-8b-4BIT", "mlx-community--Qwen3-8B-4bit"],
    ["an alias with a colon", "GPT-OSS:20b", "demo"],
    ["a repository path", "mlx-community/Qwen3-8B-4bit", "mlx-community--Qwen3-8B-4bit"],
    ["no repository path in another case", "MLX-community/Qwen3-8B-4bit", undefined],
    ["an engine before an id", "mlx:demo", "demo"],
    ["an engine's other names", " Local-MLX :demo", "demo"],
    ["an engine before an alias with a colon", "mlx:gpt-oss:20b", "demo"],
    ["an engine before a repository path", "local_mlx:mlx-community/Qwen3-8B-4bit", "mlx-community--Qwen3-8B-4bit"],
    ["an id in blank space", " \tdemo\n", "demo"],
    ["an alias in blank space, behind an engine", " mlx: Qwen3-8B ", "mlx-community--Qwen3-8B-4bit"],
    ["nothing unknown", "gpt-4o", undefined],
    ["nothing of a part of a name", "llama", undefined],
    ["nothing behind an unknown prefix", "someone:demo", undefined],
    ["nothing behind two prefixes", "mlx:mlx:demo", undefined],
    ["nothing of an empty name", "", undefined],
    ["nothing of an empty name behind an engine", "mlx:", undefined],
  ])("knows %s", (_, name, id) => {
    assert.equal(idOf(name), id);
  });

  it("names the engine that no model runs on, and never takes another engine's model", () => {
    for (const prefix of ["ollama", "lm-studio", "llama.cpp", "openai", "lmstudio:openai-compatible"]) {
      const error = failureOf(`${prefix}:demo`);
      assert.equal(error?._tag, "UnknownBackend");
      assert.include(error?.message, `"${canonicalEngine(prefix)}"; there is mlx`);
    }
  });

  it("tells the asked name as it was asked", () => {
    assert.deepInclude(failureOf("mlx:dmo"), { _tag: "ModelNotFound", model: "mlx:dmo", nearest: ["demo", "Demo"] });
  });

  it("never takes another model than the asked one", () => {
    const word = fc.stringMatching(/^[a-cA-C]{1,3}$/);
    const named = fc.record({ id: word, aliases: fc.array(word, { maxLength: 2 }), org: word });
    const prefix = fc.constantFrom("", "mlx:", "local-mlx:", "ollama:", "x:");
    fc.assert(
      fc.property(fc.array(named, { maxLength: 6 }), word, prefix, fc.boolean(), (list, plain, engine, byPath) => {
        const known = list.map(({ id, aliases, org }) => ({
          id,
          aliases,
          source: `${org}/${id}`,
          engine: "mlx" as const,
        }));
        const name = byPath ? `${plain}/${plain}` : plain;
        const found = Result.getOrUndefined(resolveName(known, engine + name));
        const isNameOf = ({ id, aliases, source }: (typeof known)[number]) =>
          source === name || [id, ...aliases].some((each) => each.toLowerCase() === name.toLowerCase());
        const reachable = engine !== "ollama:" && engine !== "x:";
        if (found !== undefined) assert.isTrue(reachable && isNameOf(found));
        else assert.isFalse(reachable && known.some(isNameOf));
        const exact = known.find(({ id }) => id === name);
        if (reachable && exact !== undefined) assert.strictEqual(found, exact);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("the nearest names", () => {
  it.each([
    ["a slip", "llama-3.1-1b", ["llama-3.2-1b"]],
    ["a dropped letter", "dmo", ["demo", "Demo"]],
    ["a part of a name", "qwen3", ["mlx-community--Qwen3-8B-4bit"]],
    ["nothing like any", "gpt-4o-mini-2024", []],
    ["nothing", "", []],
  ])("are of %s", (_, name, ids) => {
    assert.deepInclude(failureOf(name), { nearest: ids });
  });

  it("are three at most", () => {
    const many = ["model-1", "model-2", "model-3", "model-4"].map((id) => model(id));
    const error = failureOf("model-5", many);
    assert.lengthOf(error?._tag === "ModelNotFound" ? error.nearest : [], 3);
  });
});

describe("engine names", () => {
  it.each([
    ["mlx", "local_mlx"],
    ["Local-MLX", "local_mlx"],
    [" llama.cpp ", "llamacpp"],
    ["llama-cpp", "llamacpp"],
    ["LM-Studio", "lmstudio"],
    ["lmstudio:openai-compatible", "lmstudio"],
    ["someone", undefined],
    ["", undefined],
  ])("%o is %s", (name, engine) => {
    assert.equal(canonicalEngine(name), engine);
  });

  it("are canonical already where they are the list's", () => {
    for (const name of engineNames) assert.equal(canonicalEngine(name), name);
  });

  it.each([
    ["ollama:qwen3:8b", "ollama", "qwen3:8b"],
    ["lmstudio:openai-compatible:some/model", "lmstudio", "some/model"],
    ["groq:llama3", "groq", "llama3"],
  ])("split %s at the first", (name, engine, rest) => {
    assert.deepEqual(splitEnginePrefix(name), { engine, model: rest });
  });

  it("split no name that begins with something else", () => {
    for (const name of ["qwen3:8b", "demo", "my:ollama:x", ""]) assert.isUndefined(splitEnginePrefix(name));
  });
});

describe("a name that several models have", () => {
  const on = (id: string, engine: string, preferredEngines: ReadonlyArray<(typeof engineNames)[number]>) => ({
    ...model(id, "shared"),
    source: "org/shared",
    engine,
    preferredEngines,
  });
  const chosen = (known: ReadonlyArray<ReturnType<typeof on>>, name: string) =>
    Result.getOrUndefined(resolveName(known, name))?.id;
  const gemma = ["local_mlx", "ollama", "llamacpp"] as const;
  const llama = ["ollama", "local_mlx"] as const;

  it("is that on the engine which the family prefers, whatever the catalog's order", () => {
    for (const name of ["shared", "SHARED", "org/shared"]) {
      assert.equal(chosen([on("a", "ollama", gemma), on("b", "mlx", gemma)], name), "b");
      assert.equal(chosen([on("a", "mlx", llama), on("b", "ollama", llama)], name), "b");
    }
  });

  it("is the first in the catalog among equals, and where nothing is preferred", () => {
    assert.equal(chosen([on("a", "mlx", gemma), on("b", "mlx", gemma)], "shared"), "a");
    assert.equal(chosen([on("a", "vllm", []), on("b", "mlx", [])], "shared"), "a");
    assert.equal(chosen([on("a", "vllm", llama), on("b", "mlx", llama)], "shared"), "b");
  });

  it("is no matter of preference where the caller names the engine, or the model itself", () => {
    const known = [on("a", "ollama", gemma), on("b", "mlx", gemma)];
    assert.equal(chosen(known, "ollama:shared"), "a");
    assert.equal(chosen(known, "a"), "a");
  });

  it("takes a backend before the colon, in any case, and looks among its models only", () => {
    const on = (backend: string, id: string, alias: string) => ({ ...model(id, alias), engine: "vllm", backend });
    const known = [on("attic", "a", "chat"), on("cellar", "b", "chat"), { ...model("c", "chat"), engine: "vllm" }];
    const found = (name: string) => Result.getOrUndefined(resolveName(known, name))?.id;
    assert.strictEqual(found("cellar:chat"), "b");
    assert.strictEqual(found(" ATTIC : chat"), "a");
    assert.strictEqual(found("vllm:chat"), "a");
    const missing = Result.getOrUndefined(Result.flip(resolveName(known, "cellar:a")));
    assert.deepInclude(missing, { _tag: "ModelNotFound", model: "cellar:a" });
    const unknown = Result.getOrUndefined(Result.flip(resolveName(known, "ollama:chat")));
    assert.deepInclude(unknown, { _tag: "UnknownBackend", known: ["vllm", "attic", "cellar"] });
  });
});
