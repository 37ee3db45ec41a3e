import { assert, describe, it } from "@effect/vitest";
import { Result } from "effect";

import { chooseFiles } from "../../../../src/service/models/download/choose-files.ts";

const choose = (...paths: readonly string[]) =>
  chooseFiles(
    "org/name",
    paths.map((path) => ({ path, size: 1, checksum: undefined })),
  );
const chosen = (...paths: readonly string[]) => Result.getOrThrow(choose(...paths)).map(({ path }) => path);
const causeOf = (...paths: readonly string[]) => Result.getOrThrow(Result.flip(choose(...paths))).cause;

const needed = ["config.json", "tokenizer.json"];

describe("chooseFiles", () => {
  it("takes the files of the model, the weights last", () => {
    const files = [
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
      ...needed,
      "chat_template.jinja",
    ];
    assert.deepEqual(chosen(...files), [...needed, "chat_template.jinja", ...files.slice(0, 2)]);
  });

  it("leaves out other formats, pictures, and whatever is hidden or in a folder", () => {
    const others = ["pytorch_model.bin", "model.gguf", "README.md", "logo.png", ".gitattributes", ".config.json"];
    const elsewhere = ["onnx/model.safetensors", "../config.json", "/config.json", "original/consolidated.safetensors"];
    assert.deepEqual(chosen(...others, ...elsewhere, ...needed, "model.safetensors"), [...needed, "model.safetensors"]);
  });

  it("takes other safetensors only where there are none that mlx_lm loads: they would be the same weights again", () => {
    assert.deepEqual(chosen(...needed, "model.safetensors", "consolidated.safetensors"), [
      ...needed,
      "model.safetensors",
    ]);
    assert.deepEqual(chosen(...needed, "weights.00.safetensors"), [...needed, "weights.00.safetensors"]);
  });

  it("names what a repository lacks", () => {
    assert.equal(causeOf("tokenizer.json", "model.safetensors"), "its repository has no config.json");
    assert.equal(causeOf("config.json", "model.safetensors"), "its repository has no tokenizer.json");
    assert.equal(causeOf(...needed, "pytorch_model.bin"), "its repository has no weights as safetensors");
    assert.equal(causeOf("sub/config.json", "sub/tokenizer.json"), "its repository has no config.json");
  });
});
