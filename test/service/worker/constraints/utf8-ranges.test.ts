import { assert, describe, it } from "@effect/vitest";
import * as fc from "fast-check";

import { type ByteRange, utf8Ranges } from "../../../../src/service/worker/constraints/utf8-ranges.ts";

const matches = (sequences: ReadonlyArray<ReadonlyArray<ByteRange>>, bytes: Uint8Array): number =>
  sequences.filter(
    (sequence) =>
      sequence.length === bytes.length &&
      sequence.every(([first, last], at) => first <= (bytes[at] ?? -1) && (bytes[at] ?? 256) <= last),
  ).length;

const utf8 = (codePoint: number) => new TextEncoder().encode(String.fromCodePoint(codePoint));

/** Where the number of bytes changes, and the ends of what there is; surrogates are none of it. */
const borders = [0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff];
const codePoint = fc.oneof(
  fc.constantFrom(...borders),
  fc.integer({ min: 0, max: 0xd7ff }),
  fc.integer({ min: 0xe000, max: 0x10ffff }),
);

describe("utf8Ranges", () => {
  it("matches the code points of a range, each once, and no other", () => {
    fc.assert(
      fc.property(codePoint, codePoint, codePoint, (a, b, asked) => {
        const [first, last] = [Math.min(a, b), Math.max(a, b)];
        // A range over the surrogates is two: callers leave them out.
        const ranges: [number, number][] =
          first <= 0xd7ff && last >= 0xe000
            ? [
                [first, 0xd7ff],
                [0xe000, last],
              ]
            : [[first, last]];
        const sequences = utf8Ranges(ranges);
        for (const each of [asked, first, last, ...borders]) {
          assert.equal(matches(sequences, utf8(each)), first <= each && each <= last ? 1 : 0);
        }
      }),
      { seed: 20_261_128 },
    );
  });

  it("makes few sequences of all characters", () => {
    assert.isAtMost(
      utf8Ranges([
        [0, 0xd7ff],
        [0xe000, 0x10ffff],
      ]).length,
      9,
    );
  });
});
