/**
 * The official test suite for JSON Schema (draft 4, as a package has it), through the grammars made of its schemas: what a
 * grammar accepts has to be valid, a schema that has no grammar is refused by the name of what it asks for, and what is
 * valid is accepted but for what is left out on purpose.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { assert, describe, it } from "@effect/vitest";

import { constraintGrammar } from "../../../../src/service/output/grammar/constraint-grammar.ts";
import { GrammarRefused } from "../../../../src/service/output/grammar/expressions.ts";
import { grammarAccepts } from "./grammar-accepts.ts";

interface Group {
  readonly description: string;
  readonly schema: unknown;
  readonly tests: ReadonlyArray<{ readonly description: string; readonly data: unknown; readonly valid: boolean }>;
}

const folder = fileURLToPath(new URL("../../../../node_modules/json-schema-test-suite/tests/draft4", import.meta.url));
const groups = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .flatMap((file) =>
    (JSON.parse(readFileSync(join(folder, file), "utf8")) as Group[]).map((group) => ({ file, ...group })),
  );

describe("the JSON Schema test suite", () => {
  it("holds where a schema is taken, and names what is refused", () => {
    const counts = { taken: 0, refused: 0, accepted: 0, rejected: 0, narrower: 0 };
    const reasons = new Map<string, number>();
    const narrower: string[] = [];
    for (const { file, description, schema, tests } of groups) {
      let grammar;
      try {
        grammar = constraintGrammar({ type: "json-schema", schema: JSON.stringify(schema) });
      } catch (cause) {
        assert.instanceOf(cause, GrammarRefused, `${file}: ${description}`);
        counts.refused += 1;
        const keyword = /\/([$\w]+)(: |$)/.exec(cause.message)?.[1] ?? cause.message;
        reasons.set(keyword, (reasons.get(keyword) ?? 0) + 1);
        continue;
      }
      counts.taken += 1;
      for (const test of tests) {
        const accepted = grammarAccepts(grammar, JSON.stringify(test.data));
        const name = `${file}: ${description}: ${test.description}`;
        if (accepted) assert.isTrue(test.valid, `accepts what is not valid: ${name}`);
        counts[accepted ? "accepted" : "rejected"] += 1;
        if (test.valid && !accepted) {
          counts.narrower += 1;
          narrower.push(name);
        }
      }
    }
    process.stdout.write(`${JSON.stringify({ ...counts, reasons: Object.fromEntries(reasons) })}\n`);
    assert.deepStrictEqual(counts, { taken: 35, refused: 38, accepted: 54, rejected: 83, narrower: 4 });
    // Members have the order of the schema, and there are no others where a schema names some.
    assert.deepStrictEqual(narrower, [
      "additionalProperties.json: additionalProperties are allowed by default: additional properties are allowed",
      "allOf.json: allOf: allOf",
      "allOf.json: allOf with base schema: valid",
      "properties.json: object properties validation: doesn't invalidate other properties",
    ]);
  });
});
