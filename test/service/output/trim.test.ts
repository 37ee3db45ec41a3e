import { assert, describe, it } from "@effect/vitest";

import { createTrim } from "../../../src/service/output/trim.ts";

/** What comes out of a text in these pieces. */
const trimmed = (pieces: ReadonlyArray<string>, keepsStart = false): string => {
  const trim = createTrim(keepsStart);
  return pieces.map(trim.push).join("");
};

describe("createTrim", () => {
  it("trims both ends, and nothing within, however the text is cut", () => {
    const text = " \n a  b\tc \n";
    const cuts = Array.from({ length: text.length + 1 }, (_, at) => [text.slice(0, at), text.slice(at)]);
    for (const pieces of [[text], [...text], ...cuts]) assert.strictEqual(trimmed(pieces), "a  b\tc");
  });

  it("writes nothing for blank space alone", () => {
    assert.strictEqual(trimmed([" ", "\n", "\t"]), "");
  });

  it("keeps the beginning of a text that continues another", () => {
    assert.strictEqual(trimmed([" ", "a", " "], true), " a");
  });

  it("hands out what it holds back", () => {
    const trim = createTrim(false);
    assert.strictEqual(trim.push("a "), "a");
    assert.strictEqual(trim.push("\n"), "");
    assert.strictEqual(trim.held(), " \n");
  });
});
