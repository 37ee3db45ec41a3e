import { type Schema, Validator } from "@cfworker/json-schema";
import { assert, describe, it } from "@effect/vitest";

import { checkSchema } from "../../../../src/service/output/tool-schema/check-schema.ts";
import { createValidator } from "../../../../src/service/output/tool-schema/validate.ts";

/** Repeatable numbers from 0 to `below` - 1. */
const numbersFrom = (seed: number) => {
  let state = seed;
  return (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
};

const pick = <A>(next: (below: number) => number, values: ReadonlyArray<A>): A => values[next(values.length)] as A;

const randomValue = (next: (below: number) => number, depth: number): unknown => {
  switch (next(depth > 0 ? 7 : 5)) {
    case 0:
      return null;
    case 1:
      return next(2) === 0;
    case 2:
      return next(7) - 2;
    case 3:
      return next(20) / 4;
    case 4:
      return pick(next, ["", "a", "ab", "한국어", "2026-11-27", "a@b.org"]);
    case 5:
      return Array.from({ length: next(4) }, () => randomValue(next, depth - 1));
    default:
      return Object.fromEntries(
        Array.from({ length: next(4) }, () => [pick(next, ["a", "b", "c"]), randomValue(next, depth - 1)]),
      );
  }
};

const randomSchema = (next: (below: number) => number, depth: number): unknown => {
  if (depth === 0 || next(12) === 0) return pick<unknown>(next, [true, {}, { type: "string" }, { type: "integer" }]);
  const inner = () => randomSchema(next, depth - 1);
  const list = () => Array.from({ length: 1 + next(2) }, inner);
  const parts: ReadonlyArray<() => Record<string, unknown>> = [
    () => ({
      type: pick<unknown>(next, ["object", "array", "string", "number", "integer", "null", ["string", "array"]]),
    }),
    () => ({ enum: [randomValue(next, 1), randomValue(next, 1), "a", 1] }),
    () => ({ const: randomValue(next, 1) }),
    () => ({ minimum: next(4), maximum: 2 + next(4) }),
    () => ({ exclusiveMinimum: next(3), multipleOf: pick(next, [1, 2, 0.5]) }),
    () => ({ minLength: next(3), maxLength: 1 + next(3) }),
    () => ({ format: pick(next, ["date", "email"]) }),
    () => ({ prefixItems: list(), items: inner() }),
    () => ({ items: inner(), minItems: next(3), maxItems: 1 + next(3), uniqueItems: next(2) === 0 }),
    () => ({ contains: inner(), minContains: next(2), maxContains: 2 }),
    () => ({ properties: { a: inner(), b: inner() }, required: pick(next, [["a"], [], ["a", "c"]]) }),
    () => ({ properties: { a: inner() }, additionalProperties: pick<unknown>(next, [false, inner()]) }),
    () => ({ propertyNames: { maxLength: 1, enum: ["a", "b"] }, minProperties: next(2), maxProperties: 3 }),
    () => ({ dependentRequired: { a: ["b"] }, dependentSchemas: { b: inner() } }),
    () => ({ allOf: list() }),
    () => ({ anyOf: list() }),
    () => ({ oneOf: list() }),
    () => ({ not: inner() }),
    // oxlint-disable-next-line unicorn/no-thenable -- the keyword's name
    () => ({ if: inner(), then: inner(), else: inner() }),
    () => ({ $ref: "#/$defs/one" }),
  ];
  return Object.assign({}, ...Array.from({ length: 1 + next(2) }, () => pick(next, parts)())) as unknown;
};

describe("a value", () => {
  it("fits what another validator lets it fit", () => {
    const next = numbersFrom(7);
    let fitting = 0;
    let tried = 0;
    for (let round = 0; round < 3000; round++) {
      const schema = {
        ...(randomSchema(next, 3) as object),
        $defs: { one: { type: ["string", "array"], minLength: 1 } },
      };
      const validate = createValidator(schema);
      for (let each = 0; each < 4; each++) {
        const value = randomValue(next, 2);
        const { valid } = new Validator(structuredClone(schema) as Schema, "2020-12").validate(value);
        tried += 1;
        fitting += Number(valid);
        assert.strictEqual(validate(value) === undefined, valid, JSON.stringify([schema, value, validate(value)]));
      }
    }
    // Both ends of the scale are tried.
    assert.isAbove(fitting, tried / 10);
    assert.isBelow(fitting, (tried * 9) / 10);
  });

  it("is told apart where it does not fit", () => {
    const validate = createValidator({
      type: "object",
      properties: { n: { type: "array", items: { $ref: "#/$defs/count" } }, "a/b": { type: "string" } },
      additionalProperties: false,
      $defs: { count: { type: "integer", minimum: 1 } },
    });
    assert.isUndefined(validate({ n: [1, 2] }));
    assert.strictEqual(validate({ n: [1, 0] }), "#/n/1: 0 is less than 1");
    assert.strictEqual(validate({ n: [true] }), "#/n/0: it is boolean, not integer");
    assert.strictEqual(validate({ "a/b": 1 }), "#/a~1b: it is number, not string");
    assert.strictEqual(validate({ m: 1 }), '#: "m" is not allowed');
  });

  it.each<[string, object, ReadonlyArray<unknown>, ReadonlyArray<unknown>]>([
    [
      "members that others speak of",
      { allOf: [{ properties: { a: true } }], properties: { b: true }, unevaluatedProperties: false },
      [{ a: 1, b: 2 }, {}],
      [{ c: 1 }],
    ],
    [
      "members of the alternative that fits",
      { anyOf: [{ properties: { a: { type: "string" } } }, { properties: { b: true } }], unevaluatedProperties: false },
      [{ a: "x", b: 1 }, { b: 1 }],
      [{ a: 1, b: 1 }],
    ],
    [
      "members that a schema beside does not see",
      { properties: { a: true }, allOf: [{ unevaluatedProperties: false }] },
      [{}],
      [{ a: 1 }],
    ],
    [
      "members that only a refusal speaks of",
      { not: { not: { properties: { a: true } } }, unevaluatedProperties: { type: "string" } },
      [{ a: "x" }],
      [{ a: 1 }],
    ],
    [
      "items",
      { prefixItems: [true], contains: { type: "string" }, unevaluatedItems: false },
      [[1, "a"], ["a"]],
      [["a", 1], [1]],
    ],
    [
      "members named by a pattern, of which nothing is said",
      { patternProperties: { "^x": true }, unevaluatedProperties: false },
      [{ y: 1 }],
      [],
    ],
  ])("of unevaluated %s", (_, schema, fitting, others) => {
    const validate = createValidator({ ...schema });
    for (const value of fitting) assert.isUndefined(validate(value), JSON.stringify(value));
    for (const value of others) assert.isDefined(validate(value), JSON.stringify(value));
  });

  it("may be nested as deep as a schema that refers to itself", () => {
    const tree = { type: "object", properties: { next: { $ref: "#" } }, additionalProperties: false };
    assert.isUndefined(checkSchema(tree));
    const deep = JSON.parse(`${'{"next":'.repeat(120)}{}${"}".repeat(120)}`) as unknown;
    assert.isUndefined(createValidator(tree)(deep));
  });
});
