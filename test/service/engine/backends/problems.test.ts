import { assert, describe, it } from "vitest";

import { shown } from "../../../../src/service/engine/backends/problems.ts";

describe("what a server wrote", () => {
  it("is quoted where it is short, and never in part", () => {
    assert.strictEqual(shown("a_whim"), "a_whim");
    assert.strictEqual(shown("a".repeat(64)), "a".repeat(64));
    assert.strictEqual(shown("a".repeat(65)), "(65 characters)");
  });
});
