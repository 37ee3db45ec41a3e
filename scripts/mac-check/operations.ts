/** Single operations: each in a process of its own, as a wrong one may end it. */
import { inChild } from "./child.ts";
import type { OperationInput, OperationName, Type } from "./jobs/operations.ts";
import { bounded, type Check, type Section } from "./section.ts";

const types: ReadonlyArray<Type> = ["float32", "float16", "bfloat16"];

/** The most that rounding makes of it; a product on the CPU adds up to 4,096 numbers in the type itself. Nonsense makes 1. */
const most: Readonly<Record<Type, number>> = { float32: 1e-4, float16: 5e-3, bfloat16: 4e-2 };
const mostOfProducts: Readonly<Record<Type, number>> = { float32: 1e-4, float16: 5e-2, bfloat16: 0.3 };

const mostOf = (operation: OperationName, type: Type): number => {
  if (operation === "partition") return 0;
  return (operation === "quantizedProduct" ? mostOfProducts : most)[type];
};

const shapes: ReadonlyArray<readonly [OperationName, ReadonlyArray<ReadonlyArray<number>>]> = [
  [
    "normOfView",
    [
      [1, 1],
      [1, 7],
      [3, 5],
    ],
  ],
  [
    "groupedAttention",
    [
      [2, 1],
      [2, 5],
      [3, 1],
      [3, 5],
    ],
  ],
  ["maskedSoftmax", [[4_097]]],
  ["scatterAdd", [[1_024]]],
  ["updateAndGather", [[257]]],
  [
    "quantizedProduct",
    [2, 4, 8].flatMap((bits) =>
      [32, 64, 128].flatMap((group) =>
        [1, 5, 6, 33].flatMap((rows) => [896, 4_096].map((inputs) => [bits, group, rows, inputs])),
      ),
    ),
  ],
];

export const operations: Section = {
  name: "operations",
  run: async () => {
    const checks: Check[] = [];
    for (const [operation, allSizes] of shapes) {
      for (const type of types) checks.push(await checkAll(operation, type, allSizes));
    }
    checks.push(
      await checkAll("partition", "float32", [
        [1, 152_064],
        [4, 152_064],
      ]),
    );
    return [...checks, await underLoad()];
  },
};

/** One line for all shapes of an operation: the worst of them. */
const checkAll = async (
  operation: OperationName,
  type: Type,
  allSizes: ReadonlyArray<ReadonlyArray<number>>,
): Promise<Check> => {
  const name = `${operation} in ${type}`;
  const answer = await inChild(
    "computeOperations",
    allSizes.map((sizes): OperationInput => ({ operation, type, sizes })),
  );
  if (answer.type === "problem") return { name, status: "failed", detail: answer.problem };
  const [worst] = answer.value.toSorted((a, b) => b.difference - a.difference);
  if (worst === undefined) return { name, status: "failed", detail: "nothing was computed" };
  const check = bounded(name, worst.difference, mostOf(operation, type));
  return { ...check, figures: { ...check.figures, shapes: allSizes.length, worstAt: worst.sizes.join(" x ") } };
};

/** Two processes at once: what is missing in a kernel is a barrier, and shows when the GPU is busy. */
const underLoad = async (): Promise<Check> => {
  const name = "prefix sums of a vocabulary while another process computes them";
  const rounds = process.platform === "darwin" ? 2_000 : 200;
  const answers = await Promise.all([inChild("prefixSums", { rounds }), inChild("prefixSums", { rounds })]);
  for (const answer of answers)
    if (answer.type === "problem") return { name, status: "failed", detail: answer.problem };
  const wrong = answers.reduce((sum, answer) => sum + (answer.type === "value" ? answer.value : 0), 0);
  const figures = { rounds: 2 * rounds, wrong };
  // The engine draws without them on a GPU; node-mlx's kernel is known to be wrong there.
  return {
    name,
    status: wrong === 0 ? "passed" : "failed",
    ...(wrong > 0 && { detail: `${wrong} of ${2 * rounds} were wrong` }),
    figures,
  };
};
