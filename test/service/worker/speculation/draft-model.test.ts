import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, describe, it } from "@effect/vitest";
import fc from "fast-check";

import type { Model } from "../../../../src/service/worker/architectures/Model.ts";
import { loadCheckpoint } from "../../../../src/service/worker/checkpoint.ts";
import { LoadError } from "../../../../src/service/worker/files/load-error.ts";
import { Scheduler } from "../../../../src/service/worker/scheduler/scheduler.ts";
import { DraftModel } from "../../../../src/service/worker/speculation/draft-model.ts";
import { loadDraftModel, mainCacheBytes } from "../../../../src/service/worker/speculation/load-draft-model.ts";
import { Speculator } from "../../../../src/service/worker/speculation/speculator.ts";
import { writeRandomCheckpoint } from "../random-checkpoint.ts";
import { drive, greedy, limits, type Output, submission } from "../scheduler-run.ts";

const vocabularySize = 64;
const shape = { hiddenSize: 32, layers: 2, heads: 4, kvHeads: 2, vocabularySize };
const directory = writeRandomCheckpoint({ ...shape, modelType: "llama" });
const model = await loadCheckpoint(directory);
const columnBytes = 2 * 4 * shape.layers * shape.kvHeads * (shape.hiddenSize / shape.heads);

type Request = ReturnType<typeof submission>;

const drafterOf = (draft: Model, kvCacheBytes = 2 ** 24): DraftModel =>
  new DraftModel(draft, { kvCacheBytes, sliceTokens: 16, vocabularySize });

const plainly = async (request: Request): Promise<Output> => {
  const own = new Scheduler(model, limits, () => 0);
  own.submit(request);
  const output = (await drive(own)).get(request.sequence);
  if (output === undefined) throw new Error("nothing came of the sequence");
  return output;
};

const prompt = (length: number, salt: number): number[] =>
  Array.from({ length }, (_, i) => (i * i * 7 + i * 37 + salt * 11 + 5) % vocabularySize);

const arrival = fc.record({
  step: fc.nat({ max: 25 }),
  length: fc.integer({ min: 1, max: 60 }),
  // Small numbers are chosenTokens more often.
  output: fc.integer({ min: 1, max: 60 }).map((tokens) => 61 - tokens),
  salt: fc.nat({ max: 12 }),
  cancelAfter: fc.option(fc.nat({ max: 15 }), { nil: undefined, freq: 5 }),
  temperature: fc.constantFrom(0, 0, 0.3, 1),
});

describe("a draft model", () => {
  for (const modelType of ["llama", "qwen3", "gemma3_text"] as const) {
    it(`changes no output: ${modelType} drafts for llama, whatever joins, leaves or is cancelled`, async () => {
      const draft = await loadCheckpoint(writeRandomCheckpoint({ ...shape, modelType }));
      let accepted = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(arrival, { minLength: 3, maxLength: 12 }),
          fc.constantFrom(2 ** 24, columnBytes * 256),
          async (arrivals, draftBytes) => {
            const drafter = drafterOf(draft, draftBytes);
            const own = new Scheduler(model, { ...limits, maxBatch: 5 }, () => 0, {
              speculator: new Speculator("always", drafter),
            });
            const plan = new Map<number, Array<() => void>>();
            const at = (step: number, act: () => void) => plan.set(step, [...(plan.get(step) ?? []), act]);
            const requests = arrivals.map(({ length, output, salt, temperature }, sequence) =>
              submission(sequence, prompt(length, salt), {
                maxOutputTokens: output,
                sampling: { ...greedy, temperature, seed: salt },
              }),
            );
            for (const [index, { step, cancelAfter }] of arrivals.entries()) {
              const request = requests[index];
              if (request === undefined) continue;
              at(step, () => own.submit(request));
              if (cancelAfter !== undefined) at(step + cancelAfter, () => own.cancel(index));
            }
            let mostBytes = 0;
            for (let step = 0; step < 60; step++) {
              at(step, () => void (mostBytes = Math.max(mostBytes, drafter.kvCacheBytes)));
            }
            const outputs = await drive(own, plan);
            assert.isAtMost(mostBytes, draftBytes);
            for (const [index, request] of requests.entries()) {
              const full = (await plainly(request)).tokenIds;
              const output = outputs.get(index);
              const got = output?.tokenIds ?? [];
              const cancelled = arrivals[index]?.cancelAfter !== undefined;
              assert.deepStrictEqual(got, cancelled ? full.slice(0, got.length) : full);
              accepted += output?.acceptedDraftTokens ?? 0;
            }
            assert.strictEqual(own.kvCacheBytes, 0);
          },
        ),
        { numRuns: 8, seed: 5 },
      );
      assert.isAbove(accepted, modelType === "llama" ? 200 : 10);
    }, 120_000);
  }

  it("that is the model itself is right with all but what follows an end", async () => {
    const own = new Scheduler(model, limits, () => 0, { speculator: new Speculator("always", drafterOf(model)) });
    const requests = [5, 40, 17].map((length, sequence) =>
      submission(sequence, prompt(length, sequence), { maxOutputTokens: 60 }),
    );
    for (const request of requests) own.submit(request);
    const outputs = await drive(own);
    for (const request of requests) {
      const output = outputs.get(request.sequence);
      assert.deepStrictEqual(output?.tokenIds, (await plainly(request)).tokenIds);
      assert.isAbove(output?.acceptedDraftTokens ?? 0, 40);
      assert.strictEqual(output?.acceptedDraftTokens, output?.draftedTokens);
    }
  });

  it("catches up with a sequence that went on without it", async () => {
    let forbidden = true;
    const drafter = drafterOf(model);
    const speculator = new (class extends Speculator {
      override plan(...rows: Parameters<Speculator["plan"]>) {
        return forbidden ? undefined : super.plan(...rows);
      }
    })("always", drafter);
    const own = new Scheduler(model, limits, () => 0, { speculator });
    const request = submission(1, prompt(20, 1), { maxOutputTokens: 200 });
    own.submit(request);
    own.submit(submission(2, prompt(30, 2), { maxOutputTokens: 200 }));
    const plan = new Map([3, 40, 60, 110].map((step, index) => [step, [() => void (forbidden = index % 2 === 1)]]));
    const output = (await drive(own, plan)).get(1);
    assert.deepStrictEqual(output?.tokenIds, (await plainly(request)).tokenIds);
    assert.isAbove(output?.acceptedDraftTokens ?? 0, 60);
    assert.strictEqual(output?.acceptedDraftTokens, output?.draftedTokens);
  });

  it("does not keep a sequence that repeats itself from prompt lookup where there is no room for it", async () => {
    let now = 0;
    const timed: Model = {
      ...model,
      forward: (tokens, cache) => {
        now += 10;
        return model.forward(tokens, cache);
      },
    };
    const own = new Scheduler(timed, limits, () => now, {
      speculator: new Speculator("measured", drafterOf(model, columnBytes)),
    });
    const logitBias = [{ tokenId: 7, bias: 100 }];
    own.submit(submission(1, prompt(20, 1), { maxOutputTokens: 200, sampling: { ...greedy, logitBias } }));
    const output = (await drive(own)).get(1);
    assert.isAbove(output?.acceptedDraftTokens ?? 0, 150);
  });

  it.each([60, 70])("may have padding of its own: %s ids beside 64", async (size) => {
    const draft = await loadCheckpoint(
      writeRandomCheckpoint({ ...shape, modelType: "llama", vocabularySize: size, tied: false }),
    );
    const drafter = new DraftModel(draft, { kvCacheBytes: 2 ** 24, sliceTokens: 16, vocabularySize });
    const own = new Scheduler(model, limits, () => 0, { speculator: new Speculator("always", drafter) });
    const requests = [1, 2].map((sequence) =>
      submission(sequence, [63, ...prompt(20, sequence), 62, 61], { maxOutputTokens: 60 }),
    );
    for (const request of requests) own.submit(request);
    const outputs = await drive(own);
    for (const request of requests) {
      const output = outputs.get(request.sequence);
      assert.deepStrictEqual(output?.tokenIds, (await plainly(request)).tokenIds);
      assert.isAbove(output?.draftedTokens ?? 0, 20);
    }
  });

  it("is used where it pays and let alone where it does not", async () => {
    const widthsWith = async (draft: Model, draftMs: number) => {
      let now = 0;
      const timed = (of: Model, costMs: (width: number) => number, seen: number[]): Model => ({
        ...of,
        forward: (tokens, cache) => {
          const [, width = 0] = tokens.shape;
          now += costMs(width);
          seen.push(width);
          return of.forward(tokens, cache);
        },
      });
      const [widths, draftWidths]: [number[], number[]] = [[], []];
      const speculator = new Speculator("measured", drafterOf(timed(draft, () => draftMs, draftWidths)));
      const main = timed(model, (width) => 10 + width / 10, widths);
      const own = new Scheduler(main, limits, () => now, { speculator });
      let accepted = 0;
      for (let sequence = 0; sequence < 8; sequence++) {
        own.submit(submission(sequence, prompt(20, sequence), { maxOutputTokens: 200 }));
        accepted += (await drive(own)).get(sequence)?.acceptedDraftTokens ?? 0;
      }
      return { passes: widths.length, draftPasses: draftWidths.length, accepted };
    };
    const cheap = await widthsWith(model, 1);
    assert.isAbove(cheap.accepted, 1000);
    assert.isBelow(cheap.passes, 600);
    const dear = await widthsWith(model, 20);
    assert.isBelow(dear.draftPasses, 250);
  });
});

describe("loadDraftModel", () => {
  const made: string[] = [];
  afterAll(() => {
    for (const folder of made) rmSync(folder, { recursive: true });
  });
  const failure = async (draft: string, main: string): Promise<string> => {
    try {
      await loadDraftModel(draft, main, await loadCheckpoint(main));
    } catch (error) {
      assert.instanceOf(error, LoadError);
      return error instanceof Error ? error.message : "";
    }
    return "";
  };

  it("takes one of the same vocabulary, and splits the cache's bytes by what a token takes", async () => {
    const draft = await loadDraftModel(
      writeRandomCheckpoint({ ...shape, layers: 1, modelType: "qwen3" }),
      directory,
      model,
    );
    assert.strictEqual(mainCacheBytes(3000, model, draft), 2000);
  });

  it("refuses one of another vocabulary, and names what is wrong with one", async () => {
    const other = writeRandomCheckpoint({ ...shape, vocabularySize: 65, modelType: "llama" });
    assert.match(await failure(other, directory), /vocabulary of 65, the model one of 64/);
    const broken = writeRandomCheckpoint({ ...shape, modelType: "llama" }, { num_hidden_layers: 3 });
    assert.match(await failure(broken, directory), /^the draft model: .*model\.layers\.2/);
  });

  it("compares the tokens of tokenizers", async () => {
    const demo = join(import.meta.dirname, "../../../../models/demo");
    assert.strictEqual(await failure(demo, demo), "");
    const renamed = mkdtempSync(join(tmpdir(), "mlxd-draft-"));
    made.push(renamed);
    cpSync(demo, renamed, { recursive: true });
    const file = join(renamed, "tokenizer.json");
    writeFileSync(file, readFileSync(file, "utf8").replace("<|im_end|>", "<|im_stop|>"));
    assert.match(await failure(renamed, demo), /tokenizer\.json has other tokens/);
    assert.match(await failure(directory, demo), /tokenizer\.json has other tokens/);
  });
});
