/** What anybody may send as a constraint: it is taken or refused by what is wrong with it, in no time. */
import { assert, describe, it } from "@effect/vitest";

import type { OutputConstraint } from "../../../../src/service/domain/generation-task.ts";
import { constraintGrammar } from "../../../../src/service/output/grammar/constraint-grammar.ts";
import { GrammarRefused } from "../../../../src/service/output/grammar/expressions.ts";

const schema = (of: unknown): OutputConstraint => ({ type: "json-schema", schema: JSON.stringify(of) });

const refusal = (constraint: OutputConstraint): string => {
  try {
    constraintGrammar(constraint);
  } catch (cause) {
    assert.isTrue(cause instanceof GrammarRefused || cause instanceof RangeError);
    return cause instanceof GrammarRefused ? cause.message : "nested too deep";
  }
  return "taken";
};

const nested = (depth: number, open: string, close: string) => open.repeat(depth) + close.repeat(depth);

/** Each refers twice to the next, beside a keyword: so none can be a rule of its own. */
const doubling = Object.fromEntries(
  Array.from({ length: 40 }, (_, index) => {
    const next = { $ref: `#/$defs/a${index + 1}`, minItems: 0 };
    return [`a${index}`, index === 39 ? {} : { type: ["object", "array"], properties: { x: next, y: next } }];
  }),
);

describe("a constraint", () => {
  it.each<[what: string, constraint: OutputConstraint, reason: RegExp]>([
    ["nested groups", { type: "regex", pattern: nested(20_000, "(", ")") }, /nested more than 64/],
    ["nested groups of a grammar", { type: "grammar", text: `root ::= ${nested(20_000, "(", ")")}` }, /nested more/],
    ["nested JSON", { type: "json-schema", schema: `{"enum":[${nested(15_000, "[", "]")}]}` }, /too deep|too large/],
    [
      "nested schemas",
      { type: "json-schema", schema: `${'{"items":'.repeat(500)}{}${"}".repeat(500)}` },
      /more than 64/,
    ],
    [
      "repetitions of repetitions",
      { type: "regex", pattern: "((a{1000}){1000}){1000}" },
      /shortest text that fits has 1000000000 characters, of at most 1000000/,
    ],
    ["an endless repetition", { type: "regex", pattern: "a{99999999999}" }, /has 99999999999 characters/],
    [
      "many values",
      schema({ enum: Array.from({ length: 20_000 }, (_, index) => `v${index}`) }),
      /168900 characters, .* 65536/,
    ],
    ["a long source", { type: "regex", pattern: "a".repeat(70_000) }, /70000 characters, .* 65536/],
    ["many rules", { type: "grammar", text: ruleChain(3000) }, /3000 rules, of at most 2048/],
    ["schemas that multiply", schema({ $ref: "#/$defs/a0", $defs: doubling }), /more than/],
    ["a reference to itself", schema({ $ref: "#" }), /no finite text/],
    ["references in a circle", schema({ allOf: [{ $ref: "#/$defs/a" }], $defs: circle }), /without end/],
    [
      "no finite value",
      schema({ type: "object", properties: { a: { $ref: "#" } }, required: ["a"] }),
      /no finite text/,
    ],
    ["rules in a circle", { type: "grammar", text: "root ::= a\na ::= b\nb ::= a" }, /no finite text/],
    [
      "left recursion behind an empty text",
      { type: "grammar", text: 'root ::= "x"? root "y" | "z"' },
      /begins with itself/,
    ],
    ["a reference elsewhere", schema({ $ref: "https://example.com/schema" }), /#\/\$ref: only references within/],
    ["a reference to nothing", schema({ $ref: "#/$defs/none" }), /\$ref: it refers to #\/\$defs\/none/],
    ["a schema that fits nothing", schema({ enum: ["a"], type: "integer" }), /none of its values fits/],
    [
      "a number that loses digits",
      { type: "json-schema", schema: '{"properties":{"id":{"enum":[1,{"a":[1234567890123456789]}]}}}' },
      /#\/properties\/id\/enum: .*2\^53 - 1 loses digits/,
    ],
    ["a constant that loses digits", { type: "json-schema", schema: '{"const":-9007199254740993}' }, /#\/const: /],
    ["a range without numbers", schema({ type: "integer", minimum: 5, maximum: 4 }), /no number/],
    ["an unknown type", schema({ properties: { a: { type: "text" } } }), /#\/properties\/a\/type: "text" is no type/],
    ["an unknown keyword", schema({ items: { minimun: 3 } }), /#\/items\/minimun: this keyword is not supported/],
    ["alternatives that overlap", schema({ oneOf: [{ type: "integer" }, { type: "number" }] }), /#\/oneOf: .*anyOf/],
    ["look-ahead", { type: "regex", pattern: "(?=a)b" }, /look-ahead .* \(at character 3\)/],
    ["a reference to a group", { type: "regex", pattern: String.raw`(a)\1` }, /references to groups/],
    ["a text that is not closed", { type: "grammar", text: 'root ::= "a' }, /is missing \(line 1, column 12\)/],
    ["the empty text", { type: "regex", pattern: "(a{0}|)*" }, /only the empty text/],
    ["no root", { type: "grammar", text: 'start ::= "a"' }, /no rule "root"/],
  ])("is refused for %s", (_, constraint, reason) => {
    const started = performance.now();
    assert.match(refusal(constraint), reason);
    assert.isBelow(performance.now() - started, 5000);
  });

  it("writes the members of a value in the order of the schema's text", () => {
    const made = constraintGrammar({ type: "json-schema", schema: '{"const":{"2":1,"1":9007199254740991}}' });
    const source = JSON.stringify(made);
    assert.include(source, "9007199254740991");
    assert.isBelow(source.indexOf(String.raw`\"2\"`), source.indexOf(String.raw`\"1\"`));
  });

  it("names every keyword that it does not hold to", () => {
    const keywords = [
      "not if then else dependentSchemas dependentRequired patternProperties propertyNames unevaluatedItems",
      "unevaluatedProperties contains minContains maxContains minProperties maxProperties multipleOf $dynamicRef",
      "$anchor $id additionalItems dependencies nullable",
    ];
    for (const keyword of keywords.join(" ").split(" ")) {
      assert.strictEqual(
        refusal(schema({ items: { [keyword]: 1 } })),
        `#/items/${keyword}: this keyword is not supported`,
      );
    }
    assert.match(refusal(schema({ uniqueItems: true })), /uniqueItems/);
    assert.strictEqual(refusal(schema({ uniqueItems: false, "x-order": 1, title: "t", $comment: "c" })), "taken");
  });
});

const circle = { a: { $ref: "#/$defs/b", minItems: 0 }, b: { $ref: "#/$defs/a", minItems: 0 } };

/** The last is known to come to an end first. */
function ruleChain(count: number): string {
  const rules = Array.from({ length: count }, (_, index) => {
    const name = index === 0 ? "root" : `r${index}`;
    return `${name} ::= ${index === count - 1 ? '"x"' : `r${index + 1}`}`;
  });
  return rules.join("\n");
}
