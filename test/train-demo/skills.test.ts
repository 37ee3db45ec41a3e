import { assert, describe, it } from "vitest";
import { drawConversation, mix, heldOut, skills } from "../../scripts/train-demo/curriculum.ts";
import { isRight, parseReply, type Expectation } from "../../scripts/train-demo/example.ts";
import { Random } from "../../scripts/train-demo/random.ts";

const right = (expect: Expectation, raw: string) => isRight({ expect }, parseReply(raw));

describe("isRight", () => {
  it("takes the last number of a sentence", () => {
    assert.isTrue(right({ kind: "number", value: "4" }, "2 + 2는 4입니다."));
    assert.isTrue(right({ kind: "number", value: "-12" }, "15 - 27 is -12."));
    assert.isTrue(right({ kind: "number", value: "5535" }, "123 × 45 is 5,535."));
    assert.isFalse(right({ kind: "number", value: "4" }, "2 + 2 is 5."));
    assert.isFalse(right({ kind: "number", value: "4" }, "2 + 2 is 44."));
    assert.isFalse(right({ kind: "number", value: "4" }, "Hello!"));
  });

  it("compares JSON by value and wants nothing around it", () => {
    const expect: Expectation = { kind: "json", value: { name: "Tom", age: 7 } };
    assert.isTrue(right(expect, '{"age":7,"name":"Tom"}'));
    assert.isFalse(right(expect, '{"name": "Tom"}'));
    assert.isFalse(right(expect, '{"name": "Tom", "age": 7, "city": "Rome"}'));
    assert.isFalse(right(expect, 'Here: {"name": "Tom", "age": 7}'));
  });

  it("wants one call and no text where a tool is to be called", () => {
    const expect: Expectation = { kind: "call", call: { name: "calculator", arguments: { expression: "1+2" } } };
    const call = '<tool_call>\n{"name": "calculator", "arguments": {"expression": "1+2"}}\n</tool_call>';
    assert.isTrue(right(expect, call));
    assert.isFalse(right(expect, `${call}\n${call}`));
    assert.isFalse(right(expect, `3 ${call}`));
    assert.isFalse(right(expect, "1 + 2 is 3."));
    assert.isFalse(right({ kind: "number", value: "3" }, call));
  });
});

describe("the skills of the demo model", () => {
  it.each(skills.map((skill) => [skill.id, skill] as const))("%s: its own answers are right", (_, skill) => {
    for (const example of heldOut(skill, 100, new Random(1))) {
      const calls = (example.answer.tool_calls ?? []).map((call) => call.function);
      assert.isTrue(isRight(example, { text: example.answer.content, calls }), example.answer.content);
    }
  });

  it.each(skills.map((skill) => [skill.id, skill] as const))(
    "%s: the same seed asks the same questions",
    (_, skill) => {
      assert.deepEqual(heldOut(skill, 20, new Random(5)), heldOut(skill, 20, new Random(5)));
    },
  );

  it("trains on no sum or difference that is measured", () => {
    const measured = skills
      .filter(({ id }) => id.startsWith("sum-") || id.startsWith("difference-"))
      .flatMap((skill) => heldOut(skill, 300, new Random(2)))
      .flatMap(({ answer }) => equation(answer.content));
    const trained = new Set(trainingAnswers().flatMap(equation));
    assert.isAbove(measured.length, 500);
    assert.isAbove(trained.size, 5000);
    assert.deepEqual(
      measured.filter((one) => trained.has(one)),
      [],
    );
  });

  it("trains on no spelling that is measured", () => {
    const spelling = skills
      .filter(({ id }) => id === "spelling")
      .flatMap((skill) => heldOut(skill, 300, new Random(2)));
    const trained = new Set(trainingAnswers());
    assert.deepEqual(
      spelling.filter(({ answer }) => trained.has(answer.content)),
      [],
    );
  });
});

/** `2 + 3` of an answer such as "2 + 3 is 5.", whatever its language. */
function equation(answer: string): string[] {
  return answer.match(/^\d+ [+-] \d+/) ?? [];
}

/** Answers without a tool in 20,000 training conversations. */
function trainingAnswers(): string[] {
  const random = new Random(3);
  return Array.from({ length: 20_000 }, () => drawConversation(random, mix))
    .filter(({ tools }) => tools.length === 0)
    .flatMap(({ messages }) => messages.filter(({ role }) => role === "assistant"))
    .map(({ content }) => content);
}
