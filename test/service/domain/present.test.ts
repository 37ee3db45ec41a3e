import { assert, it } from "@effect/vitest";

import { present } from "../../../src/service/domain/present.ts";

it("drops what is undefined, so that defaults apply, and nothing else", () => {
  const given = { a: undefined, b: 0, c: "", d: false, e: null };
  assert.deepEqual(present(given), { b: 0, c: "", d: false, e: null });
  assert.notProperty(present(given), "a");
  assert.equal({ a: 1, ...present(given) }.a, 1);
});
