import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";

import {
  BackendContextExceeded,
  ContextLengthExceeded,
  QueueFull,
  type ServiceError,
} from "../../../../src/service/domain/errors.ts";
import type { GenerationEvent, GenerationStarted } from "../../../../src/service/domain/generation-result.ts";
import type { GenerationTask } from "../../../../src/service/domain/generation-task.ts";
import type { Usage } from "../../../../src/service/domain/usage.ts";
import { fitContext } from "../../../../src/service/pipeline/context/fit-context.ts";
import { chunk, finished, started } from "../../../support/scripted-generations.ts";
import { chat, message, task } from "../../../support/tasks.ts";

const textOf = ({ input }: GenerationTask): string =>
  input.type === "chat"
    ? input.messages.flatMap(({ content }) => content.map((part) => (part.type === "text" ? part.text : ""))).join("|")
    : assert.fail();

/** Ten turns of a hundred characters. */
const conversation = chat(
  message("system", "Be brief."),
  ...Array.from({ length: 10 }, (_, index) => message("user", `question ${index}`.padEnd(84, "."))),
);

/** A model that reads so many characters. */
const run = Effect.fnUntraced(function* (
  policy: GenerationTask["contextPolicy"],
  mostCharacters: number,
  failureOf: (length: number) => ServiceError = (length) =>
    new ContextLengthExceeded({
      promptTokens: length,
      maxOutputTokens: 1,
      contextLength: mostCharacters,
      estimated: false,
    }),
  summary = "They asked.",
) {
  const asked: string[] = [];
  const events: GenerationEvent[] = [];
  const spent: Usage[] = [];
  const result = yield* Effect.result(
    fitContext({
      task: { ...task({ input: conversation }), ...(policy !== undefined && { contextPolicy: policy }) },
      emit: (event) => void events.push(event),
      onSpent: (usage) => void spent.push(usage),
      ask: Effect.fnUntraced(function* (own, emit): Effect.fn.Return<void, ServiceError> {
        const text = textOf(own);
        assert.isUndefined(own.contextPolicy);
        asked.push(text);
        emit(started, 1);
        if (text.length > mostCharacters) return yield* Effect.fail(failureOf(text.length));
        emit(chunk(text.includes("Summarise this") ? summary : "Yes", 1), 1);
        emit(finished(1), 1);
      }),
    }),
  );
  const error = result._tag === "Failure" ? result.failure : undefined;
  const starts = events.filter((event): event is GenerationStarted => event.type === "started");
  return { asked, error, starts, spent };
});

describe("a conversation that is longer than its model reads", () => {
  it.effect("is refused unless its task says what to do", () =>
    Effect.gen(function* () {
      const { asked, error } = yield* run(undefined, 500);
      assert.lengthOf(asked, 1);
      assert.deepInclude(error, { _tag: "ContextLengthExceeded" });
    }),
  );

  it.effect("is asked as it is where it fits", () =>
    Effect.gen(function* () {
      const { asked, starts } = yield* run("drop-oldest", 5000);
      assert.lengthOf(asked, 1);
      assert.notProperty(starts[0], "context");
    }),
  );

  it.effect("loses no more turns than it has to, in few steps, and tells how many", () =>
    Effect.gen(function* () {
      const { asked, error, starts } = yield* run("drop-oldest", 500);
      assert.isUndefined(error);
      assert.isAtMost(asked.length, 4);
      assert.lengthOf(starts, 1);
      const last = asked.at(-1) ?? "";
      assert.match(last, /^Be brief\.\|/);
      assert.include(last, "question 9");
      const dropped = starts[0]?.context?.droppedMessages ?? 0;
      assert.strictEqual(last.split("|").length, 11 - dropped);
      // A quarter of what it reads is left for the answer.
      assert.isAtMost(last.length, 375);
      assert.isAtLeast(last.length, 250);
    }),
  );

  it.effect("of another server is asked with less and less of it", () =>
    Effect.gen(function* () {
      const words = new BackendContextExceeded({ model: "m", backend: "attic", words: "too long" });
      const { error, starts } = yield* run("drop-oldest", 500, () => words);
      assert.isUndefined(error);
      assert.isAbove(starts[0]?.context?.droppedMessages ?? 0, 3);
    }),
  );

  it.effect("is refused where its last turn alone is too long", () =>
    Effect.gen(function* () {
      const { error } = yield* run("drop-oldest", 50);
      assert.deepInclude(error, { _tag: "ContextLengthExceeded" });
    }),
  );

  it.effect("is summarised by the model itself, which is told the summary in the place of the turns", () =>
    Effect.gen(function* () {
      const { asked, error, starts, spent } = yield* run("summarise", 700);
      assert.isUndefined(error);
      const last = asked.at(-1) ?? "";
      assert.match(last, /^Be brief\.\|Summary of the conversation so far:\nThey asked\.\n\n\|question/);
      const [start] = starts;
      assert.strictEqual(start?.context?.summary, "They asked.");
      assert.isAbove(start?.context?.droppedMessages ?? 0, 2);
      assert.isAbove(spent.length, 0);
      assert.isAbove(start?.context?.summaryUsage?.outputTokens ?? 0, 0);
    }),
  );

  it.effect("is refused where its model writes no summary", () =>
    Effect.gen(function* () {
      const { error, starts } = yield* run("summarise", 700, undefined, " ");
      assert.deepInclude(error, { _tag: "ContextLengthExceeded" });
      assert.lengthOf(starts, 0);
    }),
  );

  it.effect("is not shortened for another failure", () =>
    Effect.gen(function* () {
      const full = new QueueFull({ model: "demo", limit: 1, retryAfterMs: 1 });
      const { asked, error } = yield* run("drop-oldest", 500, () => full);
      assert.lengthOf(asked, 1);
      assert.strictEqual(error, full);
    }),
  );
});
