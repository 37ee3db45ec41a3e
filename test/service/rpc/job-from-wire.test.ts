import { Effect } from "effect";
import { assert, describe, it } from "vitest";

import { pageSizeOf, pageStart, pageToken } from "../../../src/service/rpc/job-from-wire.ts";

describe("a page of a list", () => {
  it("begins where its token says, and only in the list that the token is of", () => {
    assert.isUndefined(Effect.runSync(pageStart("", "list")));
    const token = pageToken(17, "list");
    assert.strictEqual(Effect.runSync(pageStart(token, "list")), 17);
    for (const [given, of] of [
      [token, "another list"],
      ["nonsense", "list"],
      [Buffer.from('{"next":-1,"of":"list"}').toString("base64url"), "list"],
    ] as const) {
      assert.strictEqual(Effect.runSync(Effect.flip(pageStart(given, of))).violations[0]?.field, "page_token");
    }
    assert.strictEqual(pageToken(undefined, "list"), "");
  });

  it("has a token that a request takes, however long its filters are", () => {
    const filters = "x".repeat(16 * 512);
    const token = pageToken(2 ** 53 - 1, filters);
    assert.isAtMost(token.length, 256);
    assert.strictEqual(Effect.runSync(pageStart(token, filters)), 2 ** 53 - 1);
  });

  it("has the size that is asked for, within bounds", () => {
    assert.deepEqual([0, 1, 1_000, 1_001].map(pageSizeOf), [100, 1, 1_000, 1_000]);
  });
});
