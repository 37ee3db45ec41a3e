import { create, toBinary } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import { Result } from "effect";
import { assert as assertProperty, double, property } from "fast-check";
import { assert, it } from "vitest";

import { assertMatches } from "../../support/assert-matches.ts";
import { durationFromMs, msFromDuration } from "../../../src/service/rpc/duration.ts";

const ms = (seconds: bigint, nanos: number) => msFromDuration("f", create(DurationSchema, { seconds, nanos }));

it("keeps fractions of a millisecond, both ways", () => {
  assertMatches(durationFromMs(1.25), { seconds: 0n, nanos: 1_250_000 });
  assertMatches(durationFromMs(86_400_000.5), { seconds: 86_400n, nanos: 500_000 });
  assert.deepStrictEqual(ms(1n, 500_000), Result.succeed(1000.5));
});

it("is always encodable", () => {
  assertProperty(
    property(double({ min: -1e6, max: 1e12, noNaN: true }), (value) => {
      const duration = durationFromMs(value);
      toBinary(DurationSchema, duration);
      const back = Number(duration.seconds) * 1000 + duration.nanos / 1e6;
      return Math.abs(back - Math.max(0, value)) <= 1e-3;
    }),
  );
});

it.each([
  [1n, -1],
  [-1n, 1],
  [0n, 1_000_000_000],
  [5n, 1_999_999_999],
])("refuses %d s and %d ns", (seconds, nanos) => {
  assert.isTrue(Result.isFailure(ms(seconds, nanos)));
});
