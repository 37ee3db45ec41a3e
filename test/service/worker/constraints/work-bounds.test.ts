/**
 * Schemas of a few kilobytes could take minutes to make a grammar of, or all memory: references that double at each level,
 * alternatives compared with all others, items and values written out twice for each time that they were nested.
 */
import { assert, describe, it } from "@effect/vitest";

import type { Tool } from "../../../../src/service/domain/conversation.ts";
import { callsGrammar } from "../../../../src/service/output/grammar/calls.ts";
import { constraintGrammar } from "../../../../src/service/output/grammar/constraint-grammar.ts";
import { GrammarRefused } from "../../../../src/service/output/grammar/expressions.ts";
import { grammarAccepts } from "./grammar-accepts.ts";
import { cpuMs } from "../../../support/cpu-ms.ts";

const numbers = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, index) => index);

/** Levels d0, d1, ..., each made of the next ones. */
const levels = (count: number, of: (next: number) => object, last: object = {}): Record<string, object> =>
  Object.fromEntries(numbers(count).map((index) => [`d${index}`, index === count - 1 ? last : of(index + 1)]));

const refTo = (name: string) => ({ $ref: `#/$defs/${name}` });

const crossed = (count: number): Record<string, object> =>
  Object.fromEntries(
    ["d", "e"].flatMap((family) =>
      numbers(count).map((index) => [
        `${family}${index}`,
        index === count - 1
          ? { type: "object", properties: { [family]: { type: "null" } } }
          : { allOf: [refTo(`d${index + 1}`), refTo(`e${index + 1}`)] },
      ]),
    ),
  );

const nest = (depth: number, wrap: (inner: object) => object): object =>
  numbers(depth).reduce((inner) => wrap(inner), {} as object);

const hostile: Readonly<Record<string, object>> = {
  "definitions that double": {
    ...refTo("d0"),
    $defs: levels(41, (next) => ({ allOf: [refTo(`d${next}`), refTo(`d${next}`)] })),
  },
  "two families of definitions, crossed": { ...refTo("d0"), $defs: crossed(40) },
  "a oneOf of constants": { oneOf: numbers(20_000).map((value) => ({ const: value })) },
  "a oneOf of objects": {
    oneOf: numbers(3000).map((kind) => ({ type: "object", properties: { kind: { const: kind } }, required: ["kind"] })),
  },
  "an allOf of extensions": { allOf: numbers(60_000).map((index) => ({ [`x-${index}`]: index })) },
  "an allOf of properties": { allOf: numbers(20_000).map((index) => ({ properties: { [`p${index}`]: {} } })) },
  "an allOf of required members": { allOf: numbers(20_000).map((index) => ({ required: [`p${index}`] })) },
  "two long enums": { allOf: [{ enum: numbers(6000) }, { enum: numbers(6000).map((value) => value + 3000) }] },
  "an enum beside a type": { type: "integer", enum: numbers(20_000) },
  "items in items": nest(50, (items) => ({ type: "array", items })),
  "values in values": nest(50, (additionalProperties) => ({ type: "object", additionalProperties })),
  "alternatives of alternatives": {
    ...refTo("d0"),
    $defs: levels(60, (next) => ({ minLength: 0, anyOf: [refTo(`d${next}`), { type: "null" }, refTo(`d${next}`)] })),
  },
  "long names": {
    type: "object",
    properties: Object.fromEntries(numbers(60).map((index) => [`${"n".repeat(1000)}${index}`, {}])),
    additionalProperties: true,
  },
  "many alike names": {
    type: "object",
    properties: Object.fromEntries(numbers(900).map((index) => [`name_${index}`, { type: "boolean" }])),
    additionalProperties: { type: "null" },
  },
};

const refusalOf = (make: () => unknown): string => {
  try {
    make();
  } catch (cause) {
    assert.isTrue(cause instanceof GrammarRefused || cause instanceof RangeError, String(cause));
    return (cause as Error).message;
  }
  return "";
};

/** Far more than it takes, and far less than it took. */
const mostMs = 5000;

describe("the work of making a grammar is bounded", () => {
  it.each(Object.entries(hostile))("in a tool's schema: %s", (_, parameters) => {
    const $defs = "$defs" in parameters ? parameters.$defs : {};
    const tool: Tool = {
      name: "t",
      description: "",
      parameters: { type: "object", properties: { p: parameters }, $defs },
    };
    const took = cpuMs(() => {
      refusalOf(() => callsGrammar({ tools: [tool], notation: "tagged", several: true }));
    });
    assert.isBelow(took, mostMs);
  });

  it("over all tools together", () => {
    const properties = Object.fromEntries(numbers(700).map((index) => [`p${index}`, { type: "string", minLength: 1 }]));
    const tools = numbers(128).map((index) => ({ name: `t${index}`, description: "", parameters: { properties } }));
    let refused = "";
    const took = cpuMs(() => {
      refused = refusalOf(() => callsGrammar({ tools, notation: "tagged", several: true }));
    });
    assert.match(refused, /more than 250000 steps|too large/);
    assert.isBelow(took, mostMs);
  });

  it("and what multiplies in vain is taken all the same", () => {
    const taken = (schema: object) => constraintGrammar({ type: "json-schema", schema: JSON.stringify(schema) });
    assert.isTrue(grammarAccepts(taken({ ...refTo("d0"), $defs: crossed(40) }), '{"d":null}'));
    assert.isTrue(
      grammarAccepts(taken(nest(50, (items) => ({ type: "array", items }))), `${"[".repeat(9)}${"]".repeat(9)}`),
    );
    const constants = taken({ oneOf: numbers(2000).map((value) => ({ const: value })) });
    assert.isTrue(grammarAccepts(constants, "1999"));
    assert.isFalse(grammarAccepts(constants, "2000"));
  });
});

describe("a schema", () => {
  const accepts = (schema: object | string, value: string): boolean =>
    grammarAccepts(
      constraintGrammar({ type: "json-schema", schema: typeof schema === "string" ? schema : JSON.stringify(schema) }),
      value,
    );

  it("may have keywords that ask for nothing", () => {
    const pet = {
      $id: "https://example.com/pet",
      $comment: "c",
      discriminator: { propertyName: "kind" },
      example: { kind: "cat" },
      deprecated: true,
      readOnly: true,
      "x-order": 1,
      nullable: false,
      patternProperties: {},
      oneOf: [
        { type: "object", properties: { kind: { const: "cat" } }, required: ["kind"], title: "Cat" },
        {
          type: "object",
          properties: {
            kind: { const: "dog" },
            tail: { type: "string", contentEncoding: "base64", contentMediaType: "x" },
          },
          required: ["kind"],
        },
      ],
    };
    assert.isTrue(accepts(pet, '{"kind":"dog","tail":""}'));
    // Beside a reference, and in each part of an allOf.
    const referring = {
      allOf: [
        { ...refTo("a"), title: "A", example: 1 },
        { type: "integer", discriminator: {} },
      ],
    };
    assert.isTrue(accepts({ ...referring, $defs: { a: { minimum: 3, description: "d" } } }, "4"));
    assert.isFalse(accepts({ ...referring, $defs: { a: { minimum: 3, description: "d" } } }, "2"));
  });

  it("has its members in their own order, whatever their names look like", () => {
    const schema =
      '{"type":"object","properties":{"b":{"type":"null"},"2":{"type":"null"},"1":{"type":"null"}},"required":["b","2","1"]}';
    assert.isTrue(accepts(schema, '{"b":null,"2":null,"1":null}'));
    assert.isFalse(accepts(schema, '{"1":null,"2":null,"b":null}'));
    const both = `{"allOf":[${schema},{"properties":{"0":{"type":"null"}},"required":["0"]}]}`;
    assert.isTrue(accepts(both, '{"b":null,"2":null,"1":null,"0":null}'));
    assert.isTrue(
      accepts(String.raw`{"properties":{"a\"b:":{"const":"x\":y"},"\u0031":{}}}`, String.raw`{"a\"b:":"x\":y","1":2}`),
    );
  });
});

describe("a regular expression", () => {
  it.each([
    [String.raw`[\w-.]+@[\w-]+\.[a-z]{2,4}`, ["a-b.c@d-e.org"], ["a b@c.org"]],
    [String.raw`[\d-x]+`, ["1-x"], ["a"]],
    [String.raw`[a-\d]+`, ["a-1"], ["b"]],
    [String.raw`[\w-\s]+`, ["a- b"], ["."]],
    [String.raw`[^\w-]+`, [" ."], ["-"]],
    ["[+--]+", ["+,-"], ["."]],
    ["[a-]", ["a", "-"], ["b"]],
  ])("takes a dash in a set as JavaScript does: %s", (pattern, taken, refused) => {
    const grammar = constraintGrammar({ type: "regex", pattern });
    for (const text of [...taken, ...refused]) {
      const expected = new RegExp(`^(?:${pattern})$`).test(text);
      assert.strictEqual(expected, taken.includes(text), text);
      assert.strictEqual(grammarAccepts(grammar, text), expected, text);
    }
  });

  it.each(["[z-a]", "a{2}{3}", "a+{2}", "{2}", "(a|{1,2})"])(
    "is refused where JavaScript refuses it: %s",
    (pattern) => {
      assert.throws(() => new RegExp(pattern));
      assert.notStrictEqual(
        refusalOf(() => constraintGrammar({ type: "regex", pattern })),
        "",
      );
    },
  );
});
