import { assert, describe, it } from "@effect/vitest";
import fc from "fast-check";

import { OutputReader } from "../../../src/service/output/OutputReader.ts";
import { plainReading } from "../../../src/service/output/parser.ts";

const both = ["trim_after_user_marker", "strip_role_tokens"];

interface Options {
  readonly steps?: ReadonlyArray<string>;
  readonly stops?: ReadonlyArray<string>;
  readonly includeStop?: boolean;
  readonly continues?: boolean;
}

const reader = ({ steps = ["strip_role_tokens"], stops = [], includeStop = false, continues = false }: Options) =>
  new OutputReader({
    reading: {
      ...plainReading,
      continues,
      stripsHtml: true,
      format: { notation: "tagged", reasoningTags: { open: "<think>", close: "</think>" }, cleanUp: steps },
    },
    stops: stops.map((text) => ({ text, inText: "always" as const, isModels: false })),
    includeStop,
    createId: () => "id",
  });

const read = (options: Options, pieces: Iterable<string>) => {
  const own = reader(options);
  let text = "";
  let reasoning = "";
  for (const piece of pieces) {
    const step = own.push(piece);
    text += step.text;
    reasoning += step.reasoning;
    if (step.stopped !== undefined) return { text, reasoning, stopped: step.stopped, warnings: own.warnings.length };
  }
  const { text: rest, reasoning: more, stopped } = own.end("");
  return { text: text + rest, reasoning: reasoning + more, stopped, warnings: own.warnings.length };
};

const cases: ReadonlyArray<
  readonly [name: string, options: Options, output: string, text: string, stopped?: string, reasoning?: string]
> = [
  ["leaves honest text alone", {}, "Users: <b>1</b>\n# Instruction: [x]", "Users: <b>1</b>\n# Instruction: [x]"],
  ["takes blank space off both ends", {}, "\n\n a  b\n\nc \t\n", "a  b\n\nc"],
  ["takes blank space off between markers at the ends", {}, " <s> \n<s> hi <|im_end|>\n<|im_end|> ", "hi"],
  ["gives nothing of blank space alone", {}, " \n ", ""],
  ["leaves blank space where no step is known", { steps: ["sing"] }, "\n a \n", "\n a \n"],
  ["leaves blank space where there is no step", { steps: [] }, "\n a \n", "\n a \n"],
  ["takes blank space off where it only cuts", { steps: ["trim_after_user_marker"] }, " 4 \nuser: 5", "4", "\nuser:"],
  ["keeps the blank space with which a message goes on", { continues: true }, " four \n", " four"],
  ["takes out a label among blank space", {}, " \n\n\n User   \n  :  \n\n hi", "hi"],
  ["takes out a label that a marker cuts", {}, "us<|im_end|>er: hi", "hi"],
  ["takes out one label only", {}, "user: assistant: hi", "assistant: hi"],
  ["ends at a stop sequence of blank space", { stops: ["\n\n"] }, "4 \n\n5", "4", "\n\n"],
  ["ends at a stop sequence of blank space in front", { stops: ["\n\n"] }, " \n\n4", "", "\n\n"],
  ["ends at a stop sequence behind which nothing comes", { stops: ["\n"] }, "4 \n", "4", "\n"],
  [
    "includes a stop sequence of blank space as it stands",
    { stops: ["\n\n"], includeStop: true },
    "4 \n\n5",
    "4 \n\n",
    "\n\n",
  ],
  ["takes out each role token", {}, "a<|im_start|>b<|im_end|>c<|user|>d<|assistant|>e<|endoftext|>f", "abcdef"],
  ["takes out each literal marker", {}, "a[INST]b[/INST]c<s>d### Response:e### Instruction:f", "abcdef"],
  ["takes out one label at the beginning", {}, "  Assistant : user: hi", "user: hi"],
  ["takes out a label after a role token", {}, "<|im_start|>assistant:\n\nhi", "hi"],
  ["keeps a label that is not at the beginning", {}, "The user: me", "The user: me"],
  ["keeps a word that begins like a label", {}, "use it", "use it"],
  ["keeps an output that ends like a label", {}, "assist", "assist"],
  ["keeps a label where a message goes on", { continues: true }, " user: <s>x", " user: x"],
  ["drops blank space behind what it took out in front", {}, "<s>\n\n hi", "hi"],
  ["cuts at a user's turn, the marker first", { steps: both }, "4<|user|>and 5?", "4", "<|user|>"],
  ["cuts at a user's label on a line of its own", { steps: both }, "4.\nUser: and 5?", "4.", "\nUser:"],
  ["does not cut where the output begins", { steps: both }, "<|user|>4", "4"],
  ["cuts at a later marker all the same", { steps: both }, "<|user|>4\nuser:x", "4", "\nuser:"],
  ["cuts only where the profile asks", {}, "4\nuser: 5", "4\nuser: 5"],
  ["skips steps that it does not know", { steps: ["sing"] }, "<s>user: x", "<s>user: x"],
  ["ends at a stop sequence that is a role marker", { stops: ["<|user|>"] }, "4<|user|>5", "4", "<|user|>"],
  ["finds stop sequences in what is left", { stops: ["a b"] }, "x a<s> b y", "x", "a b"],
  ["includes a stop sequence if asked", { stops: ["b"], includeStop: true }, "abc", "ab", "b"],
  ["looks for stop sequences in the text alone", { stops: ["x"] }, "<think>x</think>yx", "y", "x", "x"],
];

describe("OutputReader", () => {
  for (const [name, options, output, text, stopped, reasoning = ""] of cases) {
    it(`${name}, wherever the output is cut`, () => {
      const points = [...output];
      const warnings = read(options, [output]).warnings;
      const expected = { text, reasoning, stopped, warnings };
      assert.deepStrictEqual(read(options, [output]), expected);
      assert.deepStrictEqual(read(options, points), expected);
      for (let at = 1; at < points.length; at++) {
        assert.deepStrictEqual(read(options, [points.slice(0, at).join(""), points.slice(at).join("")]), expected);
      }
    });
  }

  it("warns that it took something out, and only then", () => {
    assert.strictEqual(read({}, ["a<s>b"]).warnings, 1);
    assert.strictEqual(read({}, ["User : b"]).warnings, 1);
    assert.strictEqual(read({}, ["a<sb"]).warnings, 0);
  });

  it("never holds back more text than a label and its longest marker have", () => {
    const piece = fc.oneof(
      fc.string(),
      fc.constantFrom("<|im_", "###", " Instruction", "\nus", "[/INST", "assistant "),
    );
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const own = reader({ steps: both });
        const whole = pieces.join("").replaceAll(":", "").replaceAll(">", "").replaceAll("]", "");
        fc.pre(whole.trimStart() === whole);
        let given = 0;
        let text = "";
        for (const point of whole) {
          given += point.length;
          text += own.push(point).text;
          // Blank space may be the end.
          const blank = whole.slice(0, given).length - whole.slice(0, given).trimEnd().length;
          assert.isAtMost(given - text.length - blank, "### Instruction:".length * 2 + "assistant".length);
        }
        text += own.end("").text;
        assert.strictEqual(text, whole.trim());
      }),
    );
  });
});
