/** Schemas and regular expressions that callers bring are worked on in the sandbox, whatever they are. */
import { assert, describe, it } from "@effect/vitest";

import { makeGrammar } from "../../../src/service/output/grammar/make-grammar.ts";
import { jobs } from "../../../src/service/sandbox/lane/jobs.ts";

describe("the job of making a grammar", () => {
  it("is in the sandbox's table, and what it gives is data", () => {
    assert.strictEqual(jobs.makeGrammar, makeGrammar);
    for (const pattern of ["a{3}", "(", "[z-a]"]) {
      const made = makeGrammar({ type: "constraint", constraint: { type: "regex", pattern } });
      assert.deepStrictEqual(structuredClone(made), made);
      assert.strictEqual("refused" in made, pattern !== "a{3}");
    }
  });

  it("refuses what is nested without end instead of throwing", () => {
    const schema = `{"const":${"[".repeat(20_000)}${"]".repeat(20_000)}}`;
    const made = makeGrammar({ type: "constraint", constraint: { type: "json-schema", schema } });
    assert.isTrue("refused" in made && made.refused.reason.includes("too deep"), JSON.stringify(made).slice(0, 200));
  });

  it("names the number of the tool whose schema cannot be used", () => {
    const tool = { name: "a", description: "", parameters: {} };
    const broken = { name: "b", description: "", parameters: { properties: { x: { multipleOf: 2 } } } };
    const array = { name: "c", description: "", parameters: { type: "array" } };
    for (const [last, reason] of [
      [broken, "#/properties/x/multipleOf: this keyword is not supported"],
      [array, '#/type: arguments are an object: it must be "object"'],
    ] as const) {
      const made = makeGrammar({ type: "calls", tools: [tool, last], notation: "tagged", several: true });
      assert.deepStrictEqual(made, { refused: { reason, where: "1" } });
    }
  });
});
