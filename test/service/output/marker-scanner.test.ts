import { assert, describe, it } from "@effect/vitest";

import { createMarkerScanner } from "../../../src/service/output/marker-scanner.ts";

/** Markers in brackets, text as it is, for a text in these pieces. */
const scanned = (markers: ReadonlyArray<string>, pieces: ReadonlyArray<string>, invisible?: string): string => {
  const scanner = createMarkerScanner(markers, invisible);
  let out = "";
  for (const piece of pieces) {
    for (let rest = piece; rest !== "";) {
      const found = scanner.scan(rest);
      out += found.text + (found.marker === undefined ? "" : `[${found.marker}]`);
      rest = found.rest;
    }
  }
  return out + scanner.flush();
};

describe("createMarkerScanner", () => {
  it.each([
    [["<a>"], "x<a>y<<a>", "x[<a>]y<[<a>]"],
    [["aab"], "aaaab", "aa[aab]"],
    [["abab", "b"], "abab", "a[b]a[b]"],
    [["b", "ab"], "ab", "[ab]"],
    [["<end>"], "a<en", "a<en"],
    [[""], "text", "text"],
  ])("finds %j in %j, however the text is cut", (markers, text, expected) => {
    assert.strictEqual(scanned(markers, [text]), expected);
    assert.strictEqual(scanned(markers, [...text]), expected);
    for (let at = 0; at <= text.length; at++) {
      assert.strictEqual(scanned(markers, [text.slice(0, at), text.slice(at)]), expected, `cut at ${at}`);
    }
  });

  it("lets text through that cannot become a marker any more", () => {
    const scanner = createMarkerScanner(["<a>"]);
    assert.strictEqual(scanner.scan("x<a").text, "x");
    assert.strictEqual(scanner.scan("b").text, "<ab");
  });

  it("finds a marker with invisible units within it, and tells how it was written", () => {
    const found = createMarkerScanner(["<a>"], "\u200b").scan("x<\u200ba\u200b>y");
    assert.deepEqual(found, { text: "x", marker: "<a>", written: "<\u200ba\u200b>", rest: "y" });
  });
});
