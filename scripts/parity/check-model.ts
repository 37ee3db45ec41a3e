// Whether the engine computes what the reference computed: logits, and what follows from them step by step.
import { readFileSync } from "node:fs";
import { join } from "node:path";

import type { Model } from "../../src/service/worker/architectures/Model.ts";
import { loadCheckpoint } from "../../src/service/worker/checkpoint.ts";
import { KVCache } from "../../src/service/worker/cache/kv-cache.ts";
import { collectBetweenSteps, collect, mx } from "../../src/service/worker/mlx.ts";
import { Scheduler } from "../../src/service/worker/scheduler/scheduler.ts";
import type { WeightsForm } from "../../src/service/worker/weights/weights.ts";
import { greedySubmission } from "../greedy-submission.ts";

/** golden.json. */
interface ModelGolden {
  readonly runs: ReadonlyArray<GoldenRun>;
}

interface GoldenRun {
  readonly prompt_ids: ReadonlyArray<number>;
  /** After the prompt, of the whole vocabulary. */
  readonly logits: ReadonlyArray<number>;
  /** What follows greedily, whatever it is. */
  readonly greedy_ids: ReadonlyArray<number>;
}

export interface ModelParity {
  /** The largest difference of a logit. */
  readonly logitDifference: number;
  /** The first output token that differs, over all runs, each alone and all in one batch. */
  readonly divergesAt: number | undefined;
}

export const checkModel = async (directory: string, form?: WeightsForm): Promise<ModelParity> => {
  const { runs } = readGolden(directory);
  const model = await loadCheckpoint(directory, form);
  const differences = runs.map((run) => logitDifference(model, run));
  const divergences: number[] = [];
  for (const group of [...runs.map((run) => [run]), runs]) divergences.push(...(await greedyDivergences(model, group)));
  await collect();
  const first = Math.min(...divergences);
  return { logitDifference: Math.max(...differences), divergesAt: first === Infinity ? undefined : first };
};

/** Without a run, or with one that says nothing, anything would agree. */
const readGolden = (directory: string): ModelGolden => {
  const golden = JSON.parse(readFileSync(join(directory, "golden.json"), "utf8")) as Partial<ModelGolden>;
  const runs = golden.runs ?? [];
  if (runs.length === 0) throw new Error("golden.json has no runs");
  for (const [index, run] of runs.entries()) {
    for (const key of ["prompt_ids", "logits", "greedy_ids"] as const) {
      const values: unknown = run[key];
      const isList = Array.isArray(values) && values.length > 0 && values.every((value) => typeof value === "number");
      if (!isList) throw new Error(`golden.json: runs[${index}].${key} is not a list of numbers`);
    }
  }
  return { runs };
};

const logitDifference = (model: Model, { prompt_ids: prompt, logits: expected }: GoldenRun): number => {
  const hidden = model.forward(mx.array([[...prompt]], mx.int32), new KVCache(model.cacheShape, [prompt.length], 0));
  const [, tokens = 0, size = 0] = hidden.shape;
  const last = hidden.index(mx.Slice(), mx.Slice(tokens - 1, tokens), mx.Slice()).reshape(1, size);
  const [computed = []] = model.logits(last).astype(mx.float32).tolist() as number[][];
  if (computed.length !== expected.length) return Infinity;
  const differences = expected.map((logit, id) => Math.abs(logit - (computed[id] ?? NaN)));
  // NaN passes every bound.
  return differences.some(Number.isNaN) ? Infinity : Math.max(...differences);
};

/** For each run the first token that differs; Infinity: none. */
const greedyDivergences = async (model: Model, runs: ReadonlyArray<GoldenRun>): Promise<ReadonlyArray<number>> => {
  const scheduler = new Scheduler(model, limits, () => 0);
  for (const [sequence, { prompt_ids: promptTokenIds, greedy_ids: expected }] of runs.entries()) {
    scheduler.submit(greedySubmission(sequence, promptTokenIds, expected.length));
  }
  const outputs = runs.map((): number[] => []);
  while (!scheduler.idle) {
    const work = scheduler.step();
    for (const event of scheduler.takeEvents()) {
      if (event.type === "token") outputs[event.sequence]?.push(event.tokenId);
    }
    await collectBetweenSteps(work);
  }
  return runs.map(({ greedy_ids: expected }, run) => {
    const index = expected.findIndex((id, place) => id !== outputs[run]?.[place]);
    return index < 0 ? Infinity : index;
  });
};

const limits = { maxBatch: 8, prefillSliceTokens: 32, kvCacheBytes: 2 ** 32, prefixCacheBytes: 0, maxAdapters: 0 };
