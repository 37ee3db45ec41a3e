import { assert, describe, it } from "@effect/vitest";

import { byteOf } from "../../../../src/service/worker/constraints/byte-alphabet.ts";

describe("GPT-2's alphabet of bytes", () => {
  it("has a character for each byte", () => {
    const characters = [
      ...Array.from({ length: 256 }, (_, byte) => byte).filter(
        (byte) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173),
      ),
      ...Array.from({ length: 68 }, (_, place) => 256 + place),
    ];
    assert.sameMembers(
      characters.map((codePoint) => byteOf(String.fromCodePoint(codePoint))),
      Array.from({ length: 256 }, (_, byte) => byte),
    );
  });

  it.each([
    ["a", 0x61],
    ["Ġ", 0x20],
    ["Ċ", 0x0a],
    ["Ā", 0x00],
    ["Ń", 0xad],
  ] as const)("reads %s as in the vocabularies of models", (character, byte) => {
    assert.strictEqual(byteOf(character), byte);
  });
});
