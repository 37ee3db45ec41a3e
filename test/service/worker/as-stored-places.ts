/** What a golden's checkpoint says as it is stored, in bfloat16, beside what it says in float32. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert } from "@effect/vitest";

import type { Model } from "../../../src/service/worker/architectures/Model.ts";
import { KVCache } from "../../../src/service/worker/cache/kv-cache.ts";
import { loadCheckpoint } from "../../../src/service/worker/checkpoint.ts";
import { mx, type Tensor } from "../../../src/service/worker/mlx.ts";

interface Golden {
  readonly runs: ReadonlyArray<{
    readonly prompt_ids: ReadonlyArray<number>;
    readonly greedy_ids: ReadonlyArray<number>;
  }>;
}

const directory = mkdtempSync(join(tmpdir(), "mlxd-bfloat16-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** A copy whose numbers are of bfloat16; what is packed stays as it is. */
const inBfloat16 = (golden: string): string => {
  const copy = mkdtempSync(join(directory, "golden-"));
  cpSync(golden, copy, { recursive: true });
  for (const file of readdirSync(copy).filter((name) => name.endsWith(".safetensors"))) {
    const rounded = Object.fromEntries(
      Object.entries(mx.load(join(copy, file))).map(([name, tensor]): [string, Tensor] => {
        const isFloat = tensor.dtype === mx.float32 || tensor.dtype === mx.float16;
        return [name, isFloat ? tensor.astype(mx.bfloat16) : tensor];
      }),
    );
    mx.saveSafetensors(join(copy, "rounded.safetensors"), rounded);
    renameSync(join(copy, "rounded.safetensors"), join(copy, file));
  }
  return copy;
};

/** Logits after each of the tokens. */
const logitsOf = (model: Model, tokens: ReadonlyArray<number>): number[][] => {
  const hidden = model.forward(mx.array([[...tokens]], mx.int32), new KVCache(model.cacheShape, [tokens.length], 0));
  const [, count = 0, size = 0] = hidden.shape;
  return model.logits(hidden.reshape(count, size)).astype(mx.float32).tolist() as number[][];
};

interface Place {
  /** Root mean square of the differences, as a share of the logits' spread. */
  readonly difference: number;
  /** How far float32's best token is ahead of the next. */
  readonly margin: number;
  readonly isSameToken: boolean;
}

const compare = (got: ReadonlyArray<number>, expected: ReadonlyArray<number>): Place => {
  const mean = (values: ReadonlyArray<number>): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const center = mean(expected);
  const apart = mean(got.map((value, id) => (value - (expected[id] ?? NaN)) ** 2));
  const [best = 0, second = 0] = expected.toSorted((a, b) => b - a);
  return {
    difference: Math.sqrt(apart / mean(expected.map((value) => (value - center) ** 2))),
    margin: best - second,
    isSameToken: got.indexOf(Math.max(...got)) === expected.indexOf(best),
  };
};

/** Each place of the golden's runs, as stored against float32. */
const placesOf = async (golden: string): Promise<ReadonlyArray<Place>> => {
  const { runs } = JSON.parse(readFileSync(join(golden, "golden.json"), "utf8")) as Golden;
  const checkpoint = inBfloat16(golden);
  const [stored, exact] = [await loadCheckpoint(checkpoint, "stored"), await loadCheckpoint(checkpoint, "float32")];
  return runs.flatMap(({ prompt_ids: prompt, greedy_ids: greedy }) => {
    const tokens = [...prompt, ...greedy];
    const expected = logitsOf(exact, tokens);
    return logitsOf(stored, tokens).map((got, place) => compare(got, expected[place] ?? []));
  });
};

/** The logit that a token has to be ahead by. */
const margin = 0.3;

/** Of nine places in ten the difference, and of tokens that are ahead by the margin the share that stays ahead. */
export interface Bounds {
  readonly difference: number;
  readonly same: number;
}

export const assertNear = async (golden: string, bounds: Bounds): Promise<void> => {
  const places = await placesOf(golden);
  const differences = places.map(({ difference }) => difference).toSorted((a, b) => a - b);
  const ofNineTenths = differences[Math.floor(places.length * 0.9)] ?? Infinity;
  assert.isAtMost(ofNineTenths, bounds.difference, `${golden}: differences`);
  const clear = places.filter((place) => place.margin > margin);
  const same = clear.filter(({ isSameToken }) => isSameToken).length / clear.length;
  assert.isAtLeast(same, bounds.same, `${golden}: tokens that are ahead by ${margin}`);
};
