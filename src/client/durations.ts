import type { Duration } from "@bufbuild/protobuf/wkt";

/**
 * A duration as messages hold it. @bufbuild/protobuf has this function too, with the description of descriptors behind it.
 *
 * @param ms not negative
 */
export const durationFromMs = (ms: number): Duration => {
  const seconds = Math.floor(ms / 1000);
  const nanos = Math.round((ms - seconds * 1000) * 1e6);
  return { $typeName: "google.protobuf.Duration", seconds: BigInt(seconds), nanos };
};
