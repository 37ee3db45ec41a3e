import { Effect } from "effect";

import { HubError } from "./hub-error.ts";

/** A file operation failed. */
export class DiskError extends Error {
  readonly _tag = "DiskError";
  /** The system's error code, e.g. ENOSPC. */
  readonly code: string;

  constructor(code: string) {
    super(`the disk failed with ${code}`);
    this.code = code;
  }

  get isFull(): boolean {
    return this.code === "ENOSPC" || this.code === "EDQUOT";
  }
}

/**
 * Runs a promise that respects its signal. On interruption it fires the signal and waits for the promise to settle, so
 * that nothing writes to the files of a download that has ended. Errors other than the hub's and the system's are
 * defects.
 */
export const cancellablePromise = <A>(
  run: (signal: AbortSignal) => Promise<A>,
): Effect.Effect<A, HubError | DiskError> =>
  Effect.callback((resume) => {
    const controller = new AbortController();
    const settled = run(controller.signal).then(
      (value) => resume(Effect.succeed(value)),
      (error: unknown) => resume(failure(error)),
    );
    return Effect.promise(() => {
      controller.abort();
      return settled;
    });
  });

const failure = (error: unknown): Effect.Effect<never, HubError | DiskError> => {
  if (error instanceof HubError) return Effect.fail(error);
  return error instanceof Error && "syscall" in error && "code" in error
    ? Effect.fail(new DiskError(String(error.code)))
    : Effect.die(error);
};
