import fc from "fast-check";
import { assert, describe, it } from "vitest";

import { Bucket } from "../../../src/service/access/Bucket.ts";

describe("Bucket", () => {
  it("is full at first, and fills evenly up to what a minute allows", () => {
    const bucket = new Bucket();
    assert.equal(bucket.take(60, 60, 0), 0);
    assert.equal(bucket.level(60, 30_000), 30);
    assert.equal(bucket.level(60, 1e9), 60);
  });

  it("never gives more than a minute allows at once", () => {
    assert.isUndefined(new Bucket().take(61, 60, 0));
  });

  it("has what is asked after the delay that it tells, and not before", () => {
    const perMinute = fc.integer({ min: 1, max: 1_000_000 });
    fc.assert(
      fc.property(perMinute, fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(1e9), (limit, part, now) => {
        const bucket = new Bucket();
        const amount = Math.max(1, Math.floor(limit * part));
        assert.equal(bucket.take(limit, limit, now), 0);
        const waitMs = bucket.take(amount, limit, now) ?? assert.fail("it may be had");
        assert.isAbove(waitMs, 0);
        const early = now + waitMs - 2;
        if (early > now) assert.isAbove(bucket.take(amount, limit, early) ?? 0, 0);
        assert.equal(bucket.take(amount, limit, now + waitMs), 0);
      }),
    );
  });

  it("tells the delay without taking anything", () => {
    const bucket = new Bucket();
    for (let look = 0; look < 3; look++) assert.equal(bucket.waitMs(60, 60, 0), 0);
    assert.equal(bucket.take(60, 60, 0), 0);
    assert.equal(bucket.waitMs(30, 60, 0), 30_000);
    assert.isUndefined(bucket.waitMs(61, 60, 0));
  });

  it("takes back what was not used, and holds against the next what was used beyond", () => {
    const bucket = new Bucket();
    bucket.take(50, 60, 0);
    bucket.giveBack(40);
    assert.equal(bucket.level(60, 0), 50);
    bucket.giveBack(-70);
    assert.equal(bucket.level(60, 0), -20);
    assert.equal(bucket.take(1, 60, 0), 21_000);
  });
});
