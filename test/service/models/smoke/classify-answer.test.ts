import { assert, describe, it } from "@effect/vitest";

import { classifyAnswer } from "../../../../src/service/models/smoke/classify-answer.ts";
import { cpuMs } from "../../../support/cpu-ms.ts";

const classify = (text: string, expected = ["4", "네", "사"]) => classifyAnswer(text, expected);
const times = (count: number, text: string): string => Array.from({ length: count }, () => text).join("");
/** Text of this length that repeats neither a sentence nor a unit, with the answer in it. */
const long = (length: number): string => {
  let text = "4";
  for (let index = 0; text.length < length; index++) text += ` w${index.toString(36)}`;
  return text.slice(0, length);
};

describe("an answer", () => {
  it.each([
    "4",
    "2+2는 4입니다.",
    "네, 넷입니다.",
    "사입니다.",
    "네".normalize("NFD"),
    long(600),
    ` ${long(600)}\n`,
    `4${"\n".repeat(30)}`,
  ])("%j is ok", (text) => {
    assert.deepEqual(classify(text), { quality: "ok", reason: "ok" });
  });

  it.each([
    ["", "empty response"],
    [" \n\t", "empty response"],
    ["4<|im_start|>", "role token leakage (<|im_start|>)"],
    ["4<|im_end|>", "role token leakage (<|im_end|>)"],
    ["<|user|>4", "role token leakage (<|user|>)"],
    ["<|assistant|>4", "role token leakage (<|assistant|>)"],
    ["4<|endoftext|>", "role token leakage (<|endoftext|>)"],
    ["4\n### Instruction: more", "role token leakage (### Instruction:)"],
    ["### Response: 4", "role token leakage (### Response:)"],
    ["4 [/INST]", "role token leakage ([/INST])"],
    ["[INST] 4", "role token leakage ([INST])"],
    ["<s>4", "role token leakage (<s>)"],
    ["4<|eot_id|>", "special token leakage"],
    [`4<|${times(40, "x")}|>`, "special token leakage"],
    ["4<||>", "special token leakage"],
    ["4 <| user |>", "special token leakage"],
    ["4 <|a|b|>", "special token leakage"],
    ["4 <|> 4 <||> x", "special token leakage"],
    [`4<|${times(40, "🙂")}|>`.replaceAll(/🙂{7}/gu, "🙂🙂🙂🙂🙂🙂x"), "special token leakage"],
    ["assistant: 4", "role marker leakage"],
    ["\n\n user: 4", "role marker leakage"],
    [" System : 4", "role marker leakage"],
    ["USER: 4", "role marker leakage"],
    [times(5, "It is 4. "), "severe repetition"],
    [times(5, "It is 4!\n"), "severe repetition"],
    [times(7, "ab"), "runaway repetition"],
    [`4 ${times(7, "ha")}`, "runaway repetition"],
    [`4 ${times(7, "x".repeat(19) + "y")}`, "runaway repetition"],
    [times(7, "🙂"), "runaway repetition"],
    [long(4001), "response too long"],
  ])("%j failed: %s", (text, reason) => {
    assert.deepEqual(classify(text), { quality: "failed", reason });
  });

  it.each([
    [times(3, "It is 4. "), "mild repetition"],
    [times(4, "It is 4. "), "mild repetition"],
    [long(601), "response longer than expected"],
    [long(4000), "response longer than expected"],
    ["five", "answer did not contain expected result"],
    [
      `${times(3, "It is five. ")}${long(600).replaceAll(/4|네|사/g, "5")}`,
      "mild repetition; response longer than expected; answer did not contain expected result",
    ],
  ])("%j is degraded: %s", (text, reason) => {
    assert.deepEqual(classify(text), { quality: "degraded", reason });
  });

  it.each([
    ["a sentence twice", times(2, "It is 4. ")],
    ["sentences of two characters", times(6, "4a. ").trimEnd() + " 네"],
    ["a unit six times", `4 ${times(6, "ha")}`],
    ["a unit of 21 characters", `4 ${Array.from({ length: 7 }, () => "abcdefghijklmnopqrstu").join("")}`],
    ["an operator between bars", "4 <|> 4"],
    ["bars on two lines", "4 <|a\nb|>"],
    ["41 characters between bars", `4<|${"abcdefg".repeat(5)}hijklm|>`],
    ["4,000 characters and blank space around them", `\n${long(4000)}\n`],
    ["a role in the middle", "4, said the user: yes"],
  ])("is not failed for %s", (_, text) => {
    assert.notStrictEqual(classify(text).quality, "failed", classify(text).reason);
  });

  it("is looked at in a fixed order: leakage, repetition, length", () => {
    assert.include(classify(`${times(5, "It is 4. ")}<|im_end|>`).reason, "leakage");
    assert.strictEqual(classify(`${times(5, "It is 4. ")}${times(9, "ha")}${long(4001)}`).reason, "severe repetition");
    assert.strictEqual(classify(`${times(9, "ha")}${long(4001)}`).reason, "runaway repetition");
  });

  it("may be expected to hold something else", () => {
    assert.strictEqual(classify("four", ["four"]).quality, "ok");
    assert.strictEqual(classify("4", ["four"]).quality, "degraded");
  });

  it("of great length is judged quickly", () => {
    assert.isBelow(
      cpuMs(() => classify(long(200_000))),
      2000,
    );
  });
});
