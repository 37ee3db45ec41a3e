/**
 * Converts between protobuf durations and milliseconds. The library's own conversions drop fractions of a millisecond
 * or fail on them.
 */
import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import { Result } from "effect";

import type { InvalidField } from "../domain/errors.ts";
import { invalidField } from "./invalid-field.ts";

/** A duration whose parts differ in sign or overflow is refused instead of normalised. */
export const msFromDuration = (field: string, { seconds, nanos }: Duration): Result.Result<number, InvalidField> => {
  const wellFormed = Math.abs(nanos) < 1e9 && (seconds === 0n || nanos === 0 || seconds > 0n === nanos > 0);
  return wellFormed
    ? Result.succeed(Number(seconds) * 1000 + nanos / 1e6)
    : Result.fail(invalidField(field, `seconds ${seconds} and nanos ${nanos} are no duration`));
};

/** A clock that was set back gives a negative difference, which is reported as 0. */
export const durationFromMs = (ms: number): Duration => {
  const nanos = Math.round(Math.max(0, ms) * 1e6);
  return create(DurationSchema, { seconds: BigInt(Math.floor(nanos / 1e9)), nanos: nanos % 1e9 });
};

/** Undefined where there is none. */
export const optionalMs = (
  field: string,
  duration: Duration | undefined,
): Result.Result<number | undefined, InvalidField> =>
  duration === undefined ? Result.succeed(undefined) : msFromDuration(field, duration);
