import type { Duration } from "@bufbuild/protobuf/wkt";

/**
 * A duration as protobuf represents it. @bufbuild/protobuf has the same function, but importing it adds the descriptors of
 * descriptors to the bundle.
 *
 * @param ms not negative
 */
export const durationFromMs = (ms: number): Duration => {
  const seconds = Math.floor(ms / 1000);
  const nanos = Math.round((ms - seconds * 1000) * 1e6);
  return { $typeName: "google.protobuf.Duration", seconds: BigInt(seconds), nanos };
};
