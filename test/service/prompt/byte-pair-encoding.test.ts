/** The library's own encoder took 14 seconds for a million spaces: 10 to 20 us a character of a run, and much memory. */
import { BPE } from "@huggingface/tokenizers";
import fc from "fast-check";
import { assert, describe, it } from "vitest";

import { createBytePairEncoder } from "../../../src/service/prompt/byte-pair-encoding.ts";
import { createTokenizer } from "../../../src/service/prompt/create-tokenizer.ts";
import { largeTokenizer } from "../../support/large-tokenizer.ts";

/** Merges of pieces that there are, in any order of ranks, some of them twice. */
const merges = fc
  .array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 60 })
  .map((choices) => {
    const pieces = ["a", "b", "c", " ", "한", "👍"];
    return choices.map(([left, right]): [string, string] => {
      const pair: [string, string] = [pieces[left % pieces.length] ?? "", pieces[right % pieces.length] ?? ""];
      pieces.push(pair.join(""));
      return pair;
    });
  })
  .chain((pairs) => fc.shuffledSubarray(pairs, { minLength: pairs.length }));
const word = fc.array(fc.constantFrom("a", "b", "c", " ", "한", "👍", "x", "\uD800"), { minLength: 1, maxLength: 200 });

const libraryOf = (pairs: ReadonlyArray<[string, string]>) =>
  new BPE({ type: "BPE", vocab: {}, merges: pairs, unk_token: null });

describe("createBytePairEncoder", () => {
  it("makes the pieces that the library makes", () => {
    fc.assert(
      fc.property(merges, fc.array(word, { maxLength: 5 }), (pairs, words) => {
        const [library, encode] = [libraryOf(pairs), createBytePairEncoder(pairs)];
        for (const each of words) assert.deepEqual(encode(each.join("")), library.bpe(each.join("")));
      }),
      { numRuns: 400 },
    );
  });

  it("makes them of long runs", () => {
    const pairs = ["a", "aa", "aaaa"].map((run): [string, string] => [run, run]);
    const [library, encode] = [libraryOf(pairs), createBytePairEncoder(pairs)];
    for (const length of [1, 2, 3, 7, 1000, 4095]) {
      assert.deepEqual(encode("a".repeat(length)), library.bpe("a".repeat(length)));
    }
  });

  it("takes a run of a million in a fraction of the library's time", () => {
    const fixture = largeTokenizer(5000);
    const encode = createBytePairEncoder((fixture.tokenizerJson["model"] as { merges: string[] }).merges.map(pairOf));
    const library = libraryOf((fixture.tokenizerJson["model"] as { merges: string[] }).merges.map(pairOf));
    const run = "Ġ".repeat(100_000);
    assert.deepEqual(encode(run), library.bpe(run));
    // Best of several, as the machine may be busy.
    const best = (work: () => unknown) =>
      Math.min(
        ...[1, 2, 3].map(() => {
          const began = process.cpuUsage();
          work();
          return process.cpuUsage(began).user;
        }),
      );
    assert.isBelow(
      3 * best(() => encode(run)),
      best(() => library.bpe(run)),
    );
  });

  it("keeps a tokenizer's output: words, digits, other scripts", () => {
    const tokenizer = createTokenizer(largeTokenizer(5000));
    const ids = tokenizer.encode("the 12 ants  안녕 👍🏽\n\n____", { addSpecialTokens: false });
    assert.equal(tokenizer.decode(ids, { skipSpecialTokens: false }), "the 12 ants  안녕 👍🏽\n\n____");
  });
});

const pairOf = (merge: string): [string, string] => {
  const [left = "", right = ""] = merge.split(" ");
  return [left, right];
};
