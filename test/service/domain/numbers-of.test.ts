import { assert, it } from "@effect/vitest";

import { numbersOf } from "../../../src/service/domain/numbers-of.ts";

it("the numbers of a typed array are a list of the same", () => {
  for (const numbers of [[], [0], [7, 4_294_967_295, 0]])
    assert.deepEqual(numbersOf(Uint32Array.from(numbers)), numbers);
});
