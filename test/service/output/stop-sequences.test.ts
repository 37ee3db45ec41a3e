import { assert, describe, it } from "@effect/vitest";
import fc from "fast-check";

import { createStopMatcher } from "../../../src/service/output/stop-sequences.ts";
import { asToken, unmarked } from "../../../src/service/output/token-marks.ts";

interface Outcome {
  readonly text: string;
  readonly matched: string | undefined;
}

const run = (deltas: readonly string[], stops: readonly string[], includeStop = false): Outcome => {
  const matcher = createStopMatcher(stops);
  let text = "";
  for (const delta of deltas) {
    const step = matcher.push(delta);
    text += step.text + (includeStop ? step.written : "");
    if (step.matched !== undefined) return { text, matched: step.matched };
  }
  return { text: text + matcher.flush(), matched: undefined };
};

/** The definition: the shortest beginning of the text that ends with a stop sequence; of those the longest. */
const search = (text: string, stops: readonly string[], includeStop: boolean): Outcome => {
  for (let end = 1; end <= text.length; end++) {
    const [matched] = stops.filter((stop) => text.slice(0, end).endsWith(stop)).toSorted((a, b) => b.length - a.length);
    if (matched !== undefined) return { text: text.slice(0, includeStop ? end : end - matched.length), matched };
  }
  return { text, matched: undefined };
};

/** A small alphabet, so that sequences overlap themselves and each other; one code point of two units. */
const letters = fc.constantFrom("a", "b", "👍", "한");
const pieces = fc.array(
  fc.array(letters, { maxLength: 4 }).map((part) => part.join("")),
  { maxLength: 20 },
);
const sequences = fc.array(
  fc.array(letters, { minLength: 1, maxLength: 5 }).map((part) => part.join("")),
  { maxLength: 4 },
);

describe("createStopMatcher", () => {
  it("finds what a search of the whole text finds, wherever the text is cut", () => {
    fc.assert(
      fc.property(pieces, sequences, fc.boolean(), (deltas, stops, includeStop) => {
        assert.deepEqual(run(deltas, stops, includeStop), search(deltas.join(""), stops, includeStop));
      }),
      { numRuns: 2000 },
    );
  });

  it("finds it also where parts of it are special tokens", () => {
    const marked = pieces.chain((deltas) =>
      fc.tuple(...deltas.map((delta) => fc.boolean().map((isToken) => (isToken ? asToken(delta) : delta)))),
    );
    fc.assert(
      fc.property(marked, sequences, (deltas, stops) => {
        const { text, matched } = run(deltas, stops);
        assert.deepEqual({ text: unmarked(text), matched }, search(unmarked(deltas.join("")), stops, false));
      }),
      { numRuns: 2000 },
    );
  });

  it("finds a sequence that is marked as a token in that token alone, beside others that are not", () => {
    const stops = ["xab", asToken("b")];
    assert.deepEqual(run(["x", "b", "a", asToken("b")], stops), { text: "xba", matched: asToken("b") });
    assert.deepEqual(run(["x", asToken("a"), "b"], stops), { text: "", matched: "xab" });
    assert.deepEqual(run(["xa", "c", asToken("a")], stops).text, `xac${asToken("a")}`);
  });

  it("holds back only what may still become a stop sequence", () => {
    fc.assert(
      fc.property(pieces, sequences, (deltas, stops) => {
        const matcher = createStopMatcher(stops);
        let [seen, given] = ["", ""];
        for (const delta of deltas) {
          const step = matcher.push(delta);
          seen += delta;
          given += step.text;
          if (step.matched !== undefined) return;
          const held = seen.slice(given.length);
          assert.isTrue(held === "" || stops.some((stop) => stop !== held && stop.startsWith(held)));
          assert.isTrue(step.text.isWellFormed());
        }
      }),
    );
  });

  it.each([
    ["a stop over two deltas", ["Hi<|im", "_end|>rest"], ["<|im_end|>"], "Hi", "<|im_end|>"],
    ["a stop inside one delta, dropping what follows", ["one STOP two"], ["STOP"], "one ", "STOP"],
    ["the one that is complete first", ["abcdX"], ["abcdX", "bc"], "a", "bc"],
    ["the longer of two that end together", ["xabc"], ["c", "abc", "bc"], "x", "abc"],
    ["a stop whose beginning repeats", ["aaa", "ab!"], ["aab"], "aa", "aab"],
    ["a stop at the very start", ["\n\nHello"], ["\n\n"], "", "\n\n"],
    ["none, and gives back what it held", ["Hi<|im", "_e"], ["<|im_end|>"], "Hi<|im_e", undefined],
    ["none without sequences", ["Hi"], [], "Hi", undefined],
    ["none in an empty sequence", ["Hi"], [""], "Hi", undefined],
  ])("finds %s", (_, deltas, stops, text, matched) => {
    assert.deepEqual(run(deltas, stops), { text, matched });
  });

  it("keeps the sequence in the text where that is asked", () => {
    assert.deepEqual(run(["one ST", "OP two"], ["STOP"], true), { text: "one STOP", matched: "STOP" });
  });

  it("gives nothing more once it has matched", () => {
    const matcher = createStopMatcher(["."]);
    assert.deepEqual(matcher.push("a.b"), { text: "a", matched: ".", written: "." });
    assert.deepEqual(matcher.push("c"), { text: "", matched: ".", written: "" });
    assert.equal(matcher.flush(), "");
  });

  it("goes on through empty deltas", () => {
    const matcher = createStopMatcher(["ab"]);
    assert.deepEqual(matcher.push("xa"), { text: "x", matched: undefined, written: "" });
    assert.deepEqual(matcher.push(""), { text: "", matched: undefined, written: "" });
    assert.deepEqual(matcher.push("b"), { text: "", matched: "ab", written: "ab" });
  });
});
