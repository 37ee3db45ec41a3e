import { assert, describe, it } from "vitest";

import { CalledWrongly } from "../../src/cli/failures.ts";
import { entryFrom } from "../../src/cli/parse-entry.ts";

describe("the fields of an entry", () => {
  it("have the keys of mlxd.yaml, and values that are JSON or text", () => {
    const entry = entryFrom([
      "base_url=http://attic.local:11434/v1",
      "model=qwen3:8b",
      "context_length=8192",
      'aliases=["a", "b"]',
      "pinned=true",
      "defaults.top_p=0.5",
      "defaults.max-output-tokens=9",
    ]);
    assert.deepStrictEqual(entry, {
      baseUrl: "http://attic.local:11434/v1",
      model: "qwen3:8b",
      contextLength: 8192,
      aliases: ["a", "b"],
      pinned: true,
      defaults: { topP: 0.5, maxOutputTokens: 9 },
    });
  });

  it.each([["engine"], ["=x"], ["a b=1"], ["a=1", "a=2"], ["a=1", "a.b=2"], ["__proto__.x=1"], ["constructor=1"]])(
    "are refused as %s",
    (...pairs) => {
      assert.throws(() => entryFrom(pairs), CalledWrongly);
    },
  );
});
