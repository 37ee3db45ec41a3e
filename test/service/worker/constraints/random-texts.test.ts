/** Texts that are derived from a grammar at random are what was asked for, and the engine's automaton accepts them. */
import { assert, describe, it } from "@effect/vitest";
import { Validator } from "@cfworker/json-schema";

import type { Grammar, GrammarExpression } from "../../../../src/service/domain/grammar.ts";
import { constraintGrammar } from "../../../../src/service/output/grammar/constraint-grammar.ts";
import { createRandom } from "../../../support/create-random.ts";
import { grammarAccepts } from "./grammar-accepts.ts";

/** With less and less choice the deeper it is. */
const derive = ({ root, rules }: Grammar, random: (below: number) => number): string => {
  const write = (of: GrammarExpression, depth: number): string => {
    switch (of.type) {
      case "text":
        return of.text;
      case "chars": {
        const [first, last] = of.ranges[random(of.ranges.length)] ?? [0, 0];
        return String.fromCodePoint(first + random(Math.min(last - first + 1, 300)));
      }
      case "sequence":
        return of.parts.map((part) => write(part, depth)).join("");
      case "choice": {
        const option = of.options[depth > 12 ? 0 : random(of.options.length)];
        return option === undefined ? "" : write(option, depth + 1);
      }
      case "repeat": {
        const most = Math.min(of.max ?? of.min + 3, of.min + (depth > 12 ? 0 : 3));
        return Array.from({ length: of.min + random(most - of.min + 1) }, () => write(of.of, depth + 1)).join("");
      }
      case "rule": {
        const named = rules[of.name];
        return named === undefined ? "" : write(named, depth + 1);
      }
    }
  };
  return write({ type: "rule", name: root }, 0);
};

const schemas: Readonly<Record<string, object>> = {
  any: {},
  object: { type: "object" },
  closed: {
    type: "object",
    properties: { a: { type: "string" }, b: { type: ["integer", "null"] }, c: { const: { x: [1, "y"] } } },
    required: ["b"],
    additionalProperties: false,
  },
  open: {
    type: "object",
    properties: { age: { type: "integer" }, ages: { type: "integer" } },
    required: ["ages"],
    additionalProperties: { type: "boolean" },
  },
  map: { type: "object", additionalProperties: { type: "number", minimum: -3, maximum: 12 }, required: ["z"] },
  integers: { type: "array", items: { type: "integer", minimum: -120, exclusiveMaximum: 1234 }, minItems: 2 },
  bounded: { type: "array", items: { type: "integer", minimum: 17 }, minItems: 1, maxItems: 4 },
  tuple: { type: "array", prefixItems: [{ type: "string" }, { type: "number" }], items: false, minItems: 1 },
  "tuple and more": { type: "array", prefixItems: [{ type: "null" }], items: { type: "boolean" }, maxItems: 3 },
  lengths: { type: "string", minLength: 2, maxLength: 4 },
  pattern: { type: "string", pattern: String.raw`^[^a]{2}\d+(\\|")?$` },
  search: { type: "string", pattern: "b+" },
  formats: {
    type: "object",
    properties: Object.fromEntries(
      ["date", "time", "date-time", "uuid", "ipv4"].map((format) => [format, { type: "string", format }]),
    ),
    required: ["date", "time", "date-time", "uuid", "ipv4"],
  },
  anyOf: { anyOf: [{ type: "integer" }, { type: "object", properties: { n: { type: "integer" } }, required: ["n"] }] },
  "anyOf beside": {
    type: "object",
    properties: { a: { type: "integer" }, b: { type: "integer" } },
    anyOf: [{ required: ["a"] }, { required: ["b"] }],
  },
  oneOf: {
    oneOf: [
      { type: "object", properties: { kind: { const: "a" }, x: { type: "integer" } }, required: ["kind", "x"] },
      { type: "object", properties: { kind: { const: "b" } }, required: ["kind"] },
      { type: "string" },
    ],
  },
  allOf: {
    allOf: [
      { type: "object", properties: { a: { type: "number" } }, required: ["a"] },
      { properties: { a: { type: "integer", minimum: 3 }, b: { type: "string" } }, required: ["b"] },
    ],
  },
  tree: {
    $ref: "#/$defs/node",
    $defs: {
      node: {
        type: "object",
        properties: { value: { type: "integer" }, children: { type: "array", items: { $ref: "#/$defs/node" } } },
        required: ["value"],
        additionalProperties: false,
      },
    },
  },
  "values that fit": { type: "string", enum: ["a", "long one", 3, null, "b"], maxLength: 2 },
};

describe("texts of a grammar", () => {
  it.each(Object.entries(schemas))("fit the schema: %s", (_, schema) => {
    const grammar = constraintGrammar({ type: "json-schema", schema: JSON.stringify(schema) });
    const validator = new Validator(schema, "2020-12");
    const random = createRandom(7);
    for (let time = 0; time < 200; time++) {
      const text = derive(grammar, random);
      assert.isTrue(validator.validate(JSON.parse(text)).valid, text);
      if (time < 20) assert.isTrue(grammarAccepts(grammar, text), text);
    }
  });

  it.each([
    String.raw`a|b+c?`,
    String.raw`^(?:foo|bar){2,3}[^x-z\]]$`,
    String.raw`\d{3}[\w.-]+@\S\s\D\W`,
    String.raw`[가-힣]+|é{2}|.\u0041\x42`,
    String.raw`(a|)(b|)*`,
  ])("match the regular expression %s", (pattern) => {
    const grammar = constraintGrammar({ type: "regex", pattern });
    const random = createRandom(3);
    for (let time = 0; time < 200; time++) {
      const text = derive(grammar, random);
      assert.match(text, new RegExp(`^(?:${pattern})$`, "u"));
      if (time < 20) assert.isTrue(grammarAccepts(grammar, text), text);
      const other = `${text}${String.fromCodePoint(33 + random(90))}`;
      assert.strictEqual(grammarAccepts(grammar, other), new RegExp(`^(?:${pattern})$`, "u").test(other), other);
    }
  });
});
