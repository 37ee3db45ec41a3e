/** What a task that has to call a tool makes a model write is what is read as its call, in every notation. */
import { assert, describe, it } from "@effect/vitest";

import type { Tool } from "../../../src/service/domain/conversation.ts";
import type { Grammar, GrammarExpression } from "../../../src/service/domain/grammar.ts";
import type { OutputDelta } from "../../../src/service/output/deltas.ts";
import { callsGrammar } from "../../../src/service/output/grammar/calls.ts";
import { GrammarRefused } from "../../../src/service/output/grammar/expressions.ts";
import type { Notation } from "../../../src/service/output/output-format.ts";
import { createParser } from "../../../src/service/output/parser.ts";
import { createToolSet } from "../../../src/service/output/tool-set.ts";

const notations: ReadonlyArray<Notation> = [
  "tagged",
  "functions",
  "args",
  "functionary",
  "phi",
  "llama",
  "mistral",
  "deepseek",
  "harmony",
];

const tools: ReadonlyArray<Tool> = [
  {
    name: "get_weather",
    description: "",
    parameters: {
      type: "object",
      properties: {
        city: { type: "string" },
        days: { type: "integer" },
        unit: { type: "string", enum: ["c", "f"] },
        where: { $ref: "#/$defs/place" },
        tags: { type: "array", items: { type: "string" }, maxItems: 2 },
        now: { type: "boolean" },
      },
      required: ["city", "where"],
      $defs: { place: { type: "object", properties: { lat: { type: "number" } }, required: ["lat"] } },
    },
  },
  { name: "ping", description: "", parameters: { type: "object", properties: {} } },
];

const numbersFrom = (seed: number) => {
  let state = seed;
  return (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
};

/** A text that follows the grammar; short ones first, so that it ends. */
const textOf = ({ root, rules }: Grammar, next: (below: number) => number): string => {
  let left = 400;
  const write = (of: GrammarExpression): string => {
    left -= 1;
    switch (of.type) {
      case "text":
        return of.text;
      case "chars": {
        const [first = 0, last = 0] = of.ranges[next(of.ranges.length)] ?? [];
        return String.fromCodePoint(first + next(Math.min(last - first + 1, 90)));
      }
      case "rule":
        return write(rules[of.name] ?? { type: "text", text: "" });
      case "sequence":
        return of.parts.map(write).join("");
      case "choice": {
        const option = of.options[left > 0 ? next(of.options.length) : 0];
        return option === undefined ? "" : write(option);
      }
      case "repeat": {
        const more = left > 0 ? next(Math.min(4, (of.max ?? Infinity) - of.min + 1)) : 0;
        return Array.from({ length: of.min + more }, () => write(of.of)).join("");
      }
    }
  };
  return write({ type: "rule", name: root });
};

describe.each(notations)("a call that has to be made, in the notation %s", (notation) => {
  it("is read as one", () => {
    const next = numbersFrom(11);
    const grammar = callsGrammar({ tools, notation, several: true });
    let calls = 0;
    for (let round = 0; round < 300; round++) {
      const written = textOf(grammar, next);
      const deltas: OutputDelta[] = [];
      const reading = {
        format: { notation, reasoningTags: undefined, cleanUp: [] },
        tools: createToolSet(tools),
        startsInReasoning: false,
        continues: false,
      };
      const parser = createParser(
        reading,
        (delta) => void deltas.push(delta),
        () => "id",
      );
      parser.push(written);
      parser.end();
      const others = deltas.filter(
        (delta) => delta.type !== "tool-call" && !(delta.type === "text" && delta.text.trim() === ""),
      );
      assert.deepStrictEqual(others, [], written);
      calls += deltas.filter(({ type }) => type === "tool-call").length;
    }
    assert.isAtLeast(calls, 300);
  });
});

describe("a tool whose schema is JSON text", () => {
  it("is called with its members in the order of the text", () => {
    const parametersText =
      '{"type": "object", "properties": {"b": {"const": 1}, "2": {"const": 2}, "1": {"const": 3}}, "required": ["b", "2", "1"]}';
    const tool: Tool = { name: "f", description: "", parameters: JSON.parse(parametersText), parametersText };
    const written = textOf(callsGrammar({ tools: [tool], notation: "tagged", several: false }), numbersFrom(3));
    assert.deepStrictEqual(
      [...written.matchAll(/"(b|1|2)"/g)].map(([, key]) => key),
      ["b", "2", "1"],
      written,
    );
  });
});

describe("a notation that writes texts without quotes", () => {
  it("refuses what it cannot hold", () => {
    for (const more of [{ pattern: "^a" }, { maxLength: 3 }, { format: "date" }]) {
      const parameters = { type: "object", properties: { a: { type: "string", ...more } } };
      const make = () =>
        callsGrammar({ tools: [{ name: "f", description: "", parameters }], notation: "functions", several: false });
      assert.throws(make, GrammarRefused, "cannot hold");
    }
  });
});
