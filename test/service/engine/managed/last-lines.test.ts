import { assert, describe, it } from "vitest";

import { LastLines } from "../../../../src/service/engine/managed/last-lines.ts";

const linesOf = (...texts: string[]): LastLines => {
  const lines = new LastLines();
  for (const text of texts) lines.add(text);
  return lines;
};

describe("the last lines of a server", () => {
  it("are put together from pieces, without empty ones and control characters", () => {
    assert.deepStrictEqual(linesOf("one\r\ntw", "o\n\n\u001b[31mthree\u001b[0m\n").lines, [
      "one",
      "two",
      "[31mthree [0m",
    ]);
  });

  it("tell the error among them, and else the last one", () => {
    assert.strictEqual(linesOf("Traceback:\nRuntimeError: no room\nbye\n").telling, "RuntimeError: no room");
    assert.strictEqual(linesOf("starting\nlistening\n").telling, "listening");
    assert.strictEqual(linesOf().telling, "");
  });

  it("are bounded", () => {
    const lines = linesOf(...Array.from({ length: 10_000 }, (_, index) => `line ${index}\n`), "x".repeat(100_000));
    assert.isAtMost(lines.lines.join("\n").length, 8_000);
    assert.isAtMost(lines.lines.length, 20);
    assert.strictEqual(lines.telling, `${"x".repeat(200)}…`);
  });
});
