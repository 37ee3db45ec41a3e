/** Constrained sequences inside of batches, without a process around them: random weights, a vocabulary of bytes. */
import { assert, describe, it } from "@effect/vitest";

import { constraintGrammar } from "../../../../src/service/output/grammar/constraint-grammar.ts";
import type { OutputConstraint } from "../../../../src/service/domain/generation-task.ts";
import { byteLevelAlphabet } from "../../../../src/service/prompt/longest-token.ts";
import { loadCheckpoint } from "../../../../src/service/worker/checkpoint.ts";
import { Constraints } from "../../../../src/service/worker/constraints/constraints.ts";
import type { SequenceConstraint } from "../../../../src/service/worker/protocol/constraint.ts";
import type { SubmitMessage } from "../../../../src/service/worker/protocol/submit-message.ts";
import { uniform } from "../../../../src/service/worker/sampling/random.ts";
import { Scheduler } from "../../../../src/service/worker/scheduler/scheduler.ts";
import { writeRandomCheckpoint } from "../random-checkpoint.ts";
import { drive, greedy, limits, type Output, submission } from "../scheduler-run.ts";

/** More logits than tokens: what stands beyond the vocabulary is never chosen. */
const shape = {
  modelType: "qwen2",
  hiddenSize: 32,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  vocabularySize: 300,
} as const;
const stop = 0;

const model = await loadCheckpoint(writeRandomCheckpoint(shape));

const start = () => {
  const constraints = new Constraints(shape.vocabularySize, limits.maxBatch);
  // Zero ends the output and is no text.
  constraints.setVocabulary({
    type: "vocabulary",
    pieces: byteLevelAlphabet().map((piece, id) => (id === stop ? "" : piece)),
    markerTokenIds: [],
  });
  return { constraints, scheduler: new Scheduler(model, limits, () => 0, { constraints }) };
};

const held = (constraint: OutputConstraint, reasoning?: SequenceConstraint["reasoning"]): SequenceConstraint => ({
  grammar: constraintGrammar(constraint),
  markers: false,
  reasoning,
});

const schema = {
  type: "object",
  properties: {
    name: { type: "string" },
    list: { type: "array", items: { type: "number" } },
    x: { enum: ["a", "한"] },
  },
  required: ["name", "list"],
};
const forms: ReadonlyArray<OutputConstraint> = [
  { type: "json-object" },
  { type: "json-schema", schema: JSON.stringify(schema) },
  { type: "regex", pattern: "[ab]{3,}c?|x{40,60}" },
  { type: "choice", choices: ["yes", "no", "아니오"] },
  { type: "grammar", text: 'root ::= "(" root ")" | [0-9]+' },
];

const textOf = ({ tokenIds }: Output) => Buffer.from(tokenIds.filter((id) => id !== stop)).toString("utf8");

const assertHolds = (form: OutputConstraint, output: Output, minOutputTokens: number): void => {
  const text = textOf(output);
  assert.include(["constraint-complete", "stop-token"], output.end, text);
  if (output.end === "stop-token") assert.isAbove(output.tokenIds.length, minOutputTokens);
  switch (form.type) {
    case "json-object":
      assert.isObject(JSON.parse(text));
      break;
    case "json-schema": {
      const { name, list, x } = JSON.parse(text);
      assert.isString(name);
      assert.isTrue(list.every((each: unknown) => typeof each === "number"));
      assert.include(["a", "한", undefined], x);
      break;
    }
    case "regex":
      assert.match(text, new RegExp(`^(?:${form.pattern})$`));
      break;
    case "choice":
      assert.include(form.choices, text);
      break;
    case "grammar":
      assert.match(text, /^\(*\d+\)*$/);
      assert.strictEqual(text.split("(").length, text.split(")").length);
  }
};

/** Each is submitted once its grammar is compiled, from the step on that `steps` says. */
const run = async (
  submissions: ReadonlyArray<SubmitMessage>,
  steps: ReadonlyArray<number> = [],
  cancelled: ReadonlyMap<number, number> = new Map(),
) => {
  const { constraints, scheduler } = start();
  let opening = 0;
  const at = new Map<number, (() => void)[]>();
  const plan = (step: number, act: () => void) => at.set(step, [...(at.get(step) ?? []), act]);
  for (const [index, each] of submissions.entries()) {
    plan(steps[index] ?? 0, () => {
      if (each.constraint === undefined) {
        scheduler.submit(each);
        return;
      }
      opening += 1;
      constraints.open(each.sequence, each.constraint, each.maxOutputTokens, (problem) => {
        opening -= 1;
        assert.isUndefined(problem);
        scheduler.submit(each);
      });
    });
  }
  for (const [sequence, step] of cancelled) {
    plan(step, () => {
      if (!constraints.abandon(sequence)) scheduler.cancel(sequence);
      else opening -= 1;
    });
  }
  const outputs = new Map(await drive(scheduler, at));
  while (opening > 0 || !scheduler.idle) {
    await new Promise((resolve) => setImmediate(resolve));
    for (const [sequence, output] of await drive(scheduler)) {
      const before = outputs.get(sequence);
      const joined = { ...output, tokenIds: [...(before?.tokenIds ?? []), ...output.tokenIds] };
      outputs.set(sequence, { ...joined, logprobs: [...(before?.logprobs ?? []), ...output.logprobs] });
    }
  }
  return outputs;
};

const optionsOf = (number: number): Partial<SubmitMessage> => ({
  maxOutputTokens: 40 + number * 11,
  minOutputTokens: number % 3 === 0 ? 6 : 0,
  stopTokenIds: [stop],
  topLogprobs: number % 2 === 0 ? 2 : undefined,
  sampling: {
    ...greedy,
    seed: number,
    temperature: number % 4 === 0 ? 0 : 1.4,
    topP: number % 4 === 2 ? 0.9 : 1,
    topK: number % 4 === 3 ? 30 : 0,
    repetitionPenalty: number % 5 === 1 ? 1.2 : 1,
    presencePenalty: number % 5 === 2 ? 0.5 : 0,
  },
});

describe("a constrained sequence", () => {
  it("is what it is alone in a batch with others, constrained or not, and holds", async () => {
    const submissions = Array.from({ length: 16 }, (_, number) => {
      const form = forms[number % 6];
      const constraint = form === undefined ? {} : { constraint: held(form) };
      return submission(number + 1, [5, 6, 7 + number], { ...optionsOf(number), ...constraint });
    });
    const together = await run(submissions);
    for (const [number, one] of submissions.entries()) {
      const output = together.get(one.sequence);
      const alone = (await run([one])).get(one.sequence);
      assert.deepStrictEqual(output?.tokenIds, alone?.tokenIds, `sequence ${number}`);
      const form = forms[number % 6];
      if (form !== undefined && output !== undefined) assertHolds(form, output, one.minOutputTokens);
      if (output !== undefined)
        assert.lengthOf(output.logprobs, one.topLogprobs === undefined ? 0 : output.tokenIds.length);
    }
  }, 120_000);

  it("holds whatever joins, leaves or is cancelled", async () => {
    for (const schedule of [1, 2, 3]) {
      const pick = (number: number, below: number) => Math.floor(uniform(schedule, number) * below);
      const submissions = Array.from({ length: 14 }, (_, number) => {
        const form = forms[pick(number, 6)];
        const constraint = form === undefined ? {} : { constraint: held(form) };
        return submission(number + 1, [5, 6 + schedule, 7 + number], { ...optionsOf(number), ...constraint });
      });
      const steps = submissions.map((_, number) => pick(100 + number, 60));
      const cancelled = new Map([3, 7, 11].map((number) => [number, pick(200 + number, 70)] as const));
      const together = await run(submissions, steps, cancelled);
      for (const [number, one] of submissions.entries()) {
        if (cancelled.has(one.sequence)) continue;
        const output = together.get(one.sequence);
        const alone = (await run([one])).get(one.sequence);
        assert.deepStrictEqual(output?.tokenIds, alone?.tokenIds, `sequence ${number}`);
        const form = forms[pick(number, 6)];
        if (form !== undefined && output !== undefined) assertHolds(form, output, one.minOutputTokens);
      }
    }
  }, 120_000);

  it("is told apart from one that differs in a high count alone", async () => {
    const counts = [40, 50, 1000];
    const submissions = counts.map((count, index) =>
      submission(index + 1, [9, 9], {
        constraint: held({ type: "regex", pattern: `a{${count}}` }),
        maxOutputTokens: 1100,
      }),
    );
    const outputs = await run(submissions);
    for (const [index, count] of counts.entries()) {
      assert.strictEqual(outputs.get(index + 1)?.tokenIds.length, count);
      assert.strictEqual(outputs.get(index + 1)?.end, "constraint-complete");
    }
  }, 120_000);

  it("is closed in time whatever is left, and says so where nothing fits", async () => {
    for (const form of forms) {
      for (const maxOutputTokens of [3, 24, 25, 26, 27, 40]) {
        const one = submission(1, [9, 9], {
          constraint: held(form),
          maxOutputTokens,
          stopTokenIds: [stop],
          sampling: { ...greedy, temperature: 1.5, seed: maxOutputTokens },
        });
        const output = (await run([one])).get(1);
        assert.isDefined(output);
        if (output === undefined) continue;
        assert.isAtMost(output.tokenIds.length, maxOutputTokens);
        // The schema's shortest text has 20 bytes: {"name":"","list":[]}.
        if (form.type === "json-schema" && maxOutputTokens < 21) assert.strictEqual(output.end, "max-output-tokens");
        else assertHolds(form, output, 0);
      }
    }
  }, 120_000);

  it("begins after its reasoning, whether the model opens it or not, and where its limit closes it", async () => {
    const [open, close, answer] = [[1, 2], [3, 4], [10]];
    for (const begins of ["open", "optional", "always"] as const) {
      for (const limit of [0, 5]) {
        for (const seed of [1, 2, 3]) {
          const constraint = held(
            { type: "choice", choices: ["yes", "no"] },
            { begins, openTokenIds: open, closeTokenIds: close, answerTokenIds: answer },
          );
          const reasoningLimit = {
            maxTokens: limit,
            openTokenIds: begins === "open" ? [] : open,
            closeTokenIds: close,
            answerTokenIds: answer,
          };
          const options = { constraint, reasoningLimit, maxOutputTokens: 40, stopTokenIds: [stop] };
          const sampling = { ...greedy, temperature: 1.5, seed };
          const output = (await run([submission(1, [9, 9, seed], { ...options, sampling })])).get(1);
          const ids = output?.tokenIds ?? [];
          const text = Buffer.from(ids).toString("latin1");
          assert.match(text, /(yes|no)$/);
          assert.strictEqual(output?.end, "constraint-complete");
          if (begins !== "optional" || ids[0] === 1) {
            if (begins === "always") assert.deepStrictEqual(ids.slice(0, 2), open);
            assert.include(["yes", "no"], text.split("\u0003\u0004\n").at(-1));
          } else assert.match(text, /^(yes|no)$/);
        }
      }
    }
  }, 120_000);
});
