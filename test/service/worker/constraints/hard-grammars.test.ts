/**
 * A grammar that is hard to follow is its own row's trouble. One of 15 KB used to freeze every stream of the model for a minute
 * and end the process, twice, as the row was replayed; one of 1.5 KB held up all streams by seconds for each token.
 */
import { assert, describe, it } from "@effect/vitest";

import { constraintGrammar } from "../../../../src/service/output/grammar/constraint-grammar.ts";
import { byteLevelAlphabet } from "../../../../src/service/prompt/longest-token.ts";
import { loadCheckpoint } from "../../../../src/service/worker/checkpoint.ts";
import { Constraints } from "../../../../src/service/worker/constraints/constraints.ts";
import type { GrammarLimits } from "../../../../src/service/worker/constraints/shared-masks.ts";
import { collectBetweenSteps } from "../../../../src/service/worker/mlx.ts";
import type { SequenceConstraint } from "../../../../src/service/worker/protocol/constraint.ts";
import type { SequenceEvent } from "../../../../src/service/worker/protocol/sequence-events.ts";
import type { SubmitMessage } from "../../../../src/service/worker/protocol/submit-message.ts";
import { Scheduler } from "../../../../src/service/worker/scheduler/scheduler.ts";
import { writeRandomCheckpoint } from "../random-checkpoint.ts";
import { greedy, limits as workerLimits, submission } from "../scheduler-run.ts";

const shape = { modelType: "qwen2", hiddenSize: 32, layers: 2, heads: 4, kvHeads: 2, vocabularySize: 300 } as const;
const model = await loadCheckpoint(writeRandomCheckpoint(shape));

const held = (pattern: string): SequenceConstraint => ({
  grammar: constraintGrammar({ type: "regex", pattern }),
  markers: false,
  reasoning: undefined,
});

/** From its second token on a state of it has up to 25,000 parts, and there are 26 to look at. */
const hard = held(`x${"a?b?c?d?e?f?g?h?i?j?k?l?m?n?o?p?q?r?s?t?u?v?w?x?y?z?".repeat(960)}`);
const easy = held("[ab]{60}");
const wild = { ...greedy, temperature: 1.5 };

type Listener = (event: SequenceEvent, scheduler: Scheduler, constraints: Constraints) => void;

/** Each row's tokens and its end. */
const run = async (
  limits: GrammarLimits | undefined,
  submissions: ReadonlyArray<SubmitMessage>,
  on?: Listener,
  program?: URL,
) => {
  const constraints = new Constraints(shape.vocabularySize, workerLimits.maxBatch, limits, program);
  constraints.setVocabulary({ type: "vocabulary", pieces: byteLevelAlphabet(), markerTokenIds: [] });
  const scheduler = new Scheduler(model, workerLimits, () => 0, { constraints });
  const rows = new Map<number, { text: string; end: string }>();
  for (const { sequence } of submissions) rows.set(sequence, { text: "", end: "" });
  let opening = 0;
  for (const each of submissions) {
    if (each.constraint === undefined) scheduler.submit(each);
    else {
      opening += 1;
      constraints.open(each.sequence, each.constraint, each.maxOutputTokens, (problem) => {
        opening -= 1;
        const row = rows.get(each.sequence);
        if (problem === undefined) scheduler.submit(each);
        else if (row !== undefined) row.end = problem;
      });
    }
  }
  while (opening > 0 || !scheduler.idle) {
    const work = scheduler.idle ? 1 : scheduler.step();
    for (const event of scheduler.takeEvents()) {
      const row = rows.get(event.sequence);
      if (row === undefined) continue;
      if (event.type === "token") row.text += String.fromCodePoint(event.tokenId);
      if (event.type === "finished" || event.type === "unconstrainable") row.end = event.reason;
      on?.(event, scheduler, constraints);
    }
    await collectBetweenSteps(work);
    await new Promise((resolve) => setTimeout(resolve, scheduler.idle ? 5 : 0));
  }
  return rows;
};

const row = (sequence: number, constraint: SequenceConstraint | undefined, maxOutputTokens: number) =>
  submission(sequence, [5, 6, sequence], {
    maxOutputTokens,
    sampling: { ...wild, seed: sequence },
    ...(constraint !== undefined && { constraint }),
  });

const hangingThread = new URL("hanging-thread.ts", import.meta.url);
const unlimited = { compileMs: 1e9, maskMs: 1e9, hangMs: 1e9 };

describe("a grammar that is hard to follow", () => {
  it("ends its own row, and changes no other's output", async () => {
    const others = [row(1, undefined, 80), row(2, easy, 80), row(3, undefined, 30)];
    const alone = await run(undefined, others);
    const together = await run(undefined, [row(4, hard, 80), ...others]);
    assert.match(together.get(4)?.end ?? "", /takes too long/);
    for (const { sequence } of others) assert.deepStrictEqual(together.get(sequence), alone.get(sequence));
    assert.match(together.get(2)?.text ?? "", /^[ab]{60}$/);
  }, 240_000);

  it("lets the other streams go on while a mask of it is made", async () => {
    const tokens = new Map<number, number>();
    let plainMeanwhile = 0;
    await run(unlimited, [row(4, hard, 3), row(1, undefined, 400)], (event, scheduler) => {
      if (event.type !== "token") return;
      tokens.set(event.sequence, (tokens.get(event.sequence) ?? 0) + 1);
      // Its first token is told once the mask behind it is there.
      if (event.sequence === 4) scheduler.cancel(1);
      if (event.sequence === 1 && !tokens.has(4)) plainMeanwhile += 1;
    });
    assert.isAbove(plainMeanwhile, 10);
    assert.isAbove(tokens.get(4) ?? 0, 0);
  }, 240_000);

  it("that a thread hangs in is given up, and the others' are followed by another thread", async () => {
    const limits = { ...unlimited, hangMs: 10_000 };
    const others = [row(2, easy, 80), row(3, held("c{50}"), 80)];
    const alone = await run(unlimited, others);
    const together = await run(limits, [...others, row(4, easy, 5)], undefined, hangingThread);
    assert.match(together.get(4)?.end ?? "", /takes too long/);
    for (const { sequence } of others) assert.deepStrictEqual(together.get(sequence), alone.get(sequence));
  }, 240_000);

  it("is refused in time where compiling it takes too long", async () => {
    const rows = await run({ ...unlimited, compileMs: 5 }, [row(4, held(hardest), 5), row(2, held("ab"), 5)]);
    assert.match(rows.get(4)?.end ?? "", /compiling its grammar takes more than 5 ms/);
  }, 240_000);
});

/** Its first mask takes a large part of a second, also on a fast machine: it is as long as a regular expression may be. */
const hardest = "a?b?c?d?e?f?g?h?i?j?k?l?m?n?o?p?q?r?s?t?u?v?w?x?y?z?".repeat(1200);
