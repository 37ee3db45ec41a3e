/** What becomes of those who use a model that a call unloads. */
import type { Duration } from "@bufbuild/protobuf/wkt";
import { Effect } from "effect";

import { optionalMs } from "./duration.ts";

interface UnloadRequest {
  readonly drainTimeout?: Duration | undefined;
  readonly force: boolean;
}

export const unloadOptions = ({ drainTimeout, force }: UnloadRequest) =>
  Effect.map(Effect.fromResult(optionalMs("drain_timeout", drainTimeout)), (drainMs = defaultDrainMs) => ({
    drainMs,
    force,
  }));

/** Of an unload that does not say. */
const defaultDrainMs = 30_000;
