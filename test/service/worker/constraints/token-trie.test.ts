import { assert, describe, it } from "@effect/vitest";

import { longestToken } from "../../../../src/service/worker/constraints/frames.ts";
import { TokenTrie } from "../../../../src/service/worker/constraints/token-trie.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const trieOf = (...texts: ReadonlyArray<string>) => new TokenTrie(texts.map(bytes));

/** The tokens in the trie, each with the bytes on the way to it. */
const pathsOf = ({ bytes: steps, depths, tokens }: TokenTrie): Array<readonly [number, string]> => {
  const path: number[] = [];
  return [...steps].flatMap((step, node) => {
    path.length = (depths[node] ?? 1) - 1;
    path.push(step);
    const token = tokens[node] ?? -1;
    return token < 0 ? [] : [[token, String.fromCharCode(...path)] as const];
  });
};

describe("TokenTrie", () => {
  it("has each token at the end of its bytes, and a common prefix once", () => {
    const trie = trieOf("ab", "b", "abc", "ad");
    assert.sameDeepMembers(pathsOf(trie), [
      [0, "ab"],
      [1, "b"],
      [2, "abc"],
      [3, "ad"],
    ]);
    assert.strictEqual(trie.bytes.length, "abc".length + "d".length + "b".length);
  });

  it("skips a node's whole subtree, to its next sibling or past the end", () => {
    const trie = trieOf("ab", "b", "abc", "ad");
    // In depth-first order: a, ab, abc, ad, b.
    assert.deepEqual([...trie.skips], [4, 3, 3, 4, 5]);
  });

  it("chains tokens with the same bytes", () => {
    const { tokens, twins } = trieOf("x", "y", "x", "x");
    const found: number[] = [];
    for (let token = tokens[0] ?? -1; token >= 0; token = twins[token] ?? -1) found.push(token);
    assert.sameMembers(found, [0, 2, 3]);
    assert.strictEqual(twins[1], -1);
  });

  it("leaves out tokens that write nothing, and those that are too long", () => {
    const trie = trieOf("", "a".repeat(longestToken + 1), "a".repeat(longestToken));
    assert.deepEqual(
      pathsOf(trie).map(([token]) => token),
      [2],
    );
  });

  it("orders bytes over 127 like all others", () => {
    const trie = new TokenTrie([Uint8Array.of(0xff), Uint8Array.of(0x7f), Uint8Array.of(0x80, 0x01)]);
    assert.deepEqual([...trie.bytes], [0x7f, 0x80, 0x01, 0xff]);
    assert.deepEqual([...trie.tokens], [1, -1, 2, 0]);
  });
});
