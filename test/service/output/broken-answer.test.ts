import { assert, describe, it } from "@effect/vitest";

import { brokenness } from "../../../src/service/output/broken-answer.ts";

const conversation = "<|user|>How are you?<|end|>";

describe("an answer is broken", () => {
  const broken: ReadonlyArray<readonly [string, string, string]> = [
    ["with a special token", "I am fine<|eot_id|>", "special token leakage"],
    ["with a special token of a vocabulary of its own", "<|channel_2|>fine", "special token leakage"],
    ["with a role's label", " User: what else?", "role marker leakage"],
    ["in a loop of one character", "!".repeat(40), "runaway repetition"],
    ["in a loop of a longer unit", `Well, ${"I think so, ".repeat(9)}`, "runaway repetition"],
    ["in a loop of letters of several units each", "한국 ".repeat(7), "runaway repetition"],
    ["that says one sentence over and over", `${"It is four and that is it. ".repeat(5)}Yes.`, "severe repetition"],
    ["that says one line over and over", "I do not know what to say\n".repeat(5), "severe repetition"],
  ];
  for (const [what, text, finding] of broken) {
    it(what, () => assert.strictEqual(brokenness(text, conversation), finding));
  }

  const honest: ReadonlyArray<readonly [string, string, string?]> = [
    ["of one word", "Yes."],
    ["with code that is indented", "def f():\n        return 1\n\n\ndef g():\n        return 2\n"],
    [
      "with code whose lines repeat",
      ["<table>", ...Array.from({ length: 6 }, (_, row) => `<tr><td>${row * 7919}</td>\n</tr>`), "</table>"].join("\n"),
    ],
    ["with operators between bars", "many p = some p <|> pure [] <|> empty"],
    ["with a ruled line", `${"-".repeat(30)}\nThe title of the page\n${"-".repeat(30)}\nand what is told below it`],
    ["that quotes a token of the question", "<|end|> ends a turn", "What is <|end|>?"],
    ["that repeats what it was asked to", "na na na na na na na na na", "Sing na na na!"],
    ["that says a sentence of the question often", "I must not talk. ".repeat(9), 'Write "I must not talk" nine times'],
    ["with six of a unit", "ha".repeat(6)],
    ["with four of a sentence", "That is it. So I say. ".repeat(4)],
  ];
  for (const [what, text, asked = conversation] of honest) {
    it(`not ${what}`, () => assert.isUndefined(brokenness(text, asked)));
  }

  it("not with what is spelled like a special token of the model, which would be none of the text", () => {
    assert.isUndefined(brokenness("Llama ends a turn with <|eot_id|>.", conversation, new Set(["<|eot_id|>"])));
  });

  it("by a judgement that takes no time to speak of, however long it is", () => {
    const text = Array.from({ length: 60_000 }, (_, index) => ` w${index.toString(36)}`).join("");
    assert.isUndefined(brokenness(text, conversation));
    assert.strictEqual(brokenness("ab".repeat(100_000), conversation), "runaway repetition");
  });
});
