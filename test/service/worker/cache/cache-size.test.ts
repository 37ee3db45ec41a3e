import { assert, describe, it } from "vitest";

import { bytesOf, snapshotBytes, withSlack } from "../../../../src/service/worker/cache/cache-size.ts";

const shape = { layers: 3, kvHeads: 2, headDim: 8 };

describe("the size of a KV cache", () => {
  it("is keys and values in float32 for each token, head and layer", () => {
    assert.equal(snapshotBytes(shape, 5), 2 * 4 * 3 * 2 * 8 * 5);
    assert.equal(snapshotBytes(shape, 0), 0);
  });

  it("counts the columns that are held ready, in steps of 64", () => {
    assert.equal(bytesOf(shape, 2, 1), 2 * snapshotBytes(shape, 64));
    assert.equal(bytesOf(shape, 2, 64), 2 * snapshotBytes(shape, 64));
    assert.equal(bytesOf(shape, 2, 65), 2 * snapshotBytes(shape, 128));
  });

  it("leaves room for a growth by an eighth", () => {
    assert.equal(withSlack(800), 900);
    assert.equal(withSlack(1), 2);
  });
});
