/** Each operation of the binding against NumPy's result of the same inputs, in the three types that models have. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { assert, describe, it } from "@effect/vitest";

import type { Dtype, Tensor } from "../../src/service/worker/binding/core.ts";
import { binding as mx } from "./binding.ts";

/** scripts/binding-fixtures.py writes it. */
interface Fixture {
  readonly inputs: Readonly<Record<string, { readonly shape: number[]; readonly values: number[] }>>;
  readonly integers: Readonly<Record<string, number[] | number[][]>>;
  readonly cases: ReadonlyArray<{
    readonly op: string;
    readonly type: "float32" | "float16" | "bfloat16";
    readonly args: ReadonlyArray<Argument>;
    readonly shape: number[];
    readonly values: ReadonlyArray<number | string>;
    /** Of several results, which. */
    readonly part?: number;
  }>;
}

type Argument =
  | number
  | boolean
  | string
  | number[]
  | null
  | { readonly tensor: string }
  | { readonly tensors: string[] }
  | { readonly greater: [name: string, than: number] }
  | { readonly first: [name: string, count: number] }
  | { readonly quantized: [name: string, groupSize: number, bits: number, mode: string]; readonly part: number };

const fixture = JSON.parse(
  readFileSync(join(import.meta.dirname, "../fixtures/binding/operations.json"), "utf8"),
) as Fixture;

/** Of sums of some 64 products; what is compared with 64 bits is rounded once more at the end. */
const tolerances = { float32: 2e-5, float16: 1e-2, bfloat16: 6e-2 };

/** On a CPU these kernels add up in the type itself, where others do in 32 bits. */
const addsInType = ["quantizedMatmul", "gatherQmm"];

/** What MLX's CPU has for 32 bits alone. */
const onlyFloat32 = ["gatherMm"];

const tensorOf = (name: string, type: Dtype): Tensor => {
  const integers = fixture.integers[name];
  if (integers !== undefined) return mx.array(integers, name === "along" || name === "places" ? mx.int32 : mx.uint32);
  const input = fixture.inputs[name];
  if (input === undefined) throw new Error(`no input ${name}`);
  return mx
    .array(Float32Array.from(input.values))
    .reshape(...(input.shape as [number, number]))
    .astype(type);
};

const argumentOf = (argument: Argument, type: Dtype): unknown => {
  if (argument === null) return undefined;
  if (typeof argument !== "object" || Array.isArray(argument)) return argument;
  if ("tensor" in argument) return tensorOf(argument.tensor, type);
  if ("tensors" in argument) return argument.tensors.map((name) => tensorOf(name, type));
  if ("greater" in argument) return mx.greater(tensorOf(argument.greater[0], type), argument.greater[1]);
  if ("first" in argument) return tensorOf(argument.first[0], type).index(mx.Slice(0, argument.first[1]));
  const [name, ...settings] = argument.quantized;
  return mx.quantize(tensorOf(name, type), ...settings)[argument.part];
};

const call = (op: string, args: ReadonlyArray<unknown>): Tensor | Tensor[] => {
  const path = op.split(".");
  const operation = path.reduce<unknown>((object, key) => (object as Record<string, unknown>)[key], mx);
  return (operation as (...all: unknown[]) => Tensor | Tensor[])(...args);
};

const isFloat = (tensor: Tensor): boolean => [mx.float32, mx.float16, mx.bfloat16].includes(tensor.dtype);

describe("an operation", () => {
  const operations = [...new Set(fixture.cases.map(({ op }) => op))];
  it.each(operations)("%s gives what NumPy gives", (op) => {
    for (const { type, args, shape, values, part } of fixture.cases.filter((each) => each.op === op)) {
      if (type !== "float32" && onlyFloat32.includes(op) && !mx.isAvailable("gpu")) continue;
      const made = call(
        op,
        args.map((argument) => argumentOf(argument, mx[type])),
      );
      const result = (Array.isArray(made) ? made[part ?? 0] : made) as Tensor;
      const told = `${op}(${JSON.stringify(args)}) in ${type}`;
      assert.deepEqual(result.shape, shape, told);
      const numbers = [...(mx.flatten(result).tolist() as number[])];
      for (const [place, value] of values.entries()) {
        const expected = Number(value);
        const tolerance = (addsInType.includes(op) ? 3 : 1) * tolerances[type] * Math.max(1, Math.abs(expected));
        assert.closeTo(Number(numbers[place]), expected, tolerance, `${told} at ${place}`);
      }
      // What is computed of 16 bits stays so: a number or a mask beside it does not widen it.
      if (isFloat(result) && op !== "dequantize") assert.strictEqual(result.dtype, mx[type], `the type of ${told}`);
    }
  });
});
