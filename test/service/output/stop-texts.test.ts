import { assert, describe, it } from "@effect/vitest";

import { OutputReader } from "../../../src/service/output/OutputReader.ts";
import { plainReading } from "../../../src/service/output/parser.ts";
import { stopTexts } from "../../../src/service/output/stop-texts.ts";
import { asToken } from "../../../src/service/output/token-marks.ts";

const inTextOf = (options: Partial<Parameters<typeof stopTexts>[0]>) =>
  stopTexts({
    all: ["</s>", "[INST]"],
    asked: [],
    configured: [],
    verbatim: false,
    goesOnAfter: new Set(),
    ...options,
  }).map(({ inText }) => inText);

describe("a stop sequence", () => {
  it("of the task, or configured, stops as text; of a family only what is no HTML; none of it with verbatim", () => {
    assert.deepStrictEqual(inTextOf({}), ["never", "unless-token"]);
    assert.deepStrictEqual(inTextOf({ configured: ["</s>"] }), ["always", "unless-token"]);
    assert.deepStrictEqual(inTextOf({ asked: ["</s>"] }), ["always", "unless-token"]);
    assert.deepStrictEqual(inTextOf({ verbatim: true, configured: ["[INST]"] }), ["never", "never"]);
  });

  it("of the model's does not stop as a token that the output is to go on after", () => {
    const goesOnAfter = new Set(["[INST]"]);
    assert.deepStrictEqual(inTextOf({ goesOnAfter }), ["never"]);
    assert.deepStrictEqual(inTextOf({ goesOnAfter, asked: ["[INST]"] }), ["never", "always"]);
  });

  const read = (inText: "always" | "unless-token" | "never", pieces: ReadonlyArray<string>, includeStop = false) => {
    const stops = [{ text: "<|sep|>", inText, isModels: inText !== "always" }];
    const specials = new Set(["<|sep|>"]);
    const format = {
      notation: "tagged",
      reasoningTags: { open: "<think>", close: "</think>" },
      cleanUp: [],
    } as const;
    const reader = new OutputReader({ reading: { ...plainReading, format }, stops, includeStop, specials });
    let [text, reasoning] = ["", ""];
    for (const piece of [...pieces, undefined]) {
      const step = piece === undefined ? reader.end("") : reader.push(piece);
      text += step.text;
      reasoning += step.reasoning;
      if (step.stopped !== undefined)
        return { text, reasoning, stopped: step.stopped, warnings: reader.warnings.length };
    }
    return { text, reasoning, stopped: undefined, warnings: reader.warnings.length };
  };
  const token = asToken("<|sep|>");

  it("that is a special token stops as such, and is told as it is spelled", () => {
    const stopped = { text: "one ", reasoning: "", stopped: "<|sep|>", warnings: 0 };
    for (const how of ["always", "unless-token", "never"] as const) {
      assert.deepStrictEqual(read(how, ["one ", token, " two"]), stopped, how);
    }
    assert.strictEqual(read("always", ["one ", token], true).text, "one <|sep|>");
  });

  it("is text in ordinary tokens, unless the task asks for it", () => {
    assert.strictEqual(read("unless-token", ["one <|se", "p|> two"]).text, "one <|sep|> two");
    assert.strictEqual(read("always", ["one <|se", "p|> two"]).text, "one ");
  });

  it("is nothing within reasoning", () => {
    const { text, reasoning } = read("always", ["<think>", "a", token, "b</think>", "c", token]);
    assert.deepStrictEqual([text, reasoning], ["c", "ab"]);
  });
});
