import { assert, describe, it } from "@effect/vitest";

import { LoadError } from "../../../../src/service/worker/files/load-error.ts";
import { ModelConfig } from "../../../../src/service/worker/files/model-config.ts";
import { readQuantization } from "../../../../src/service/worker/weights/quantization.ts";

const path = "model.layers.0.mlp.down_proj";
/** The tensors of a layer with 256 inputs, in this many bits and groups. */
const stored = (bits: number, groupSize: number, hasByteScales = false) => ({
  inputs: 256,
  words: (256 * bits) / 32,
  scales: 256 / groupSize,
  hasByteScales,
});
/** Tensors whose shapes do not fit together, so that the section decides. */
const unclear = { ...stored(4, 64), words: 1, scales: 3 };
const read = (values: Readonly<Record<string, unknown>>, sizes = stored(4, 64)) =>
  readQuantization(new ModelConfig(values))(path, sizes);

describe("the quantisation of a layer", () => {
  it("is none if config.json has no such section", () => {
    assert.isUndefined(read({ model_type: "qwen2" }));
  });

  it("is the one that the section names for all layers", () => {
    const section = { quantization: { bits: 4, group_size: 64 } };
    assert.deepEqual(read(section, unclear), { mode: "affine", bits: 4, groupSize: 64 });
  });

  it("is its own if the section has one for its path, and none if that is false", () => {
    const common = { bits: 4, group_size: 64 };
    const own = { quantization: { ...common, [path]: { bits: 8, group_size: 32 } } };
    assert.deepEqual(read(own), { mode: "affine", bits: 8, groupSize: 32 });
    assert.isUndefined(read({ quantization: { ...common, [path]: false } }));
  });

  it("is inferred from its tensors if they are stored differently from the others", () => {
    const section = { quantization: { bits: 4, group_size: 64 } };
    assert.deepEqual(read(section, stored(8, 32)), { mode: "affine", bits: 8, groupSize: 32 });
    assert.deepEqual(read(section, stored(4, 32, true)), { mode: "mxfp4", bits: 4, groupSize: 32 });
    assert.deepEqual(read(section, stored(4, 16, true)), { mode: "nvfp4", bits: 4, groupSize: 16 });
  });

  it.each(["mxfp4", "mxfp8"] as const)("may be another quantiser's %s", (method) => {
    assert.strictEqual(read({ quantization_config: { quant_method: method } }, unclear)?.mode, method);
  });

  it.each([
    ["bits", { quantization: { bits: 7, group_size: 64 } }, /7 bits, which is not supported; known: 2, 3, 4, 5, 6, 8/],
    ["groups", { quantization: { bits: 4, group_size: 48 } }, /groups of 48, which is not supported/],
    ["modes", { quantization: { mode: "int4", bits: 4, group_size: 64 } }, /quantised as int4/],
    ["methods", { quantization_config: { quant_method: "gptq" } }, /"gptq" is not supported/],
    [
      "groups of a mode",
      { quantization: { mode: "mxfp4", bits: 4, group_size: 64 } },
      /mxfp4 in groups of 64, they must be of 32/,
    ],
  ] as const)("is refused for unsupported %s, by name", (_, values, message) => {
    assert.throws(() => read(values, unclear), LoadError, message);
  });
});
