/** Maps failures of the store to the errors that callers get. */
import { Effect } from "effect";

import { JobStoreUnavailable, JobStoreUnusable, type ServiceError, type StoreFailure } from "../domain/errors.ts";
import { DirectoryLocked } from "./store/directory-lock.ts";
import { NewerStore } from "./store/migrations.ts";

/** Errors of the store's functions that a caller can react to. */
export type Thrown = Extract<ServiceError, { readonly _tag: `Job${string}` | "SequenceOutOfRange" | "InvalidField" }>;

/** A caller's mistake: the store itself is fine. */
export const isExpected = (error: unknown): error is Thrown =>
  error instanceof Error && "_tag" in error && typeof error._tag === "string";

/** A mistake in the service's own code: a wrong statement, a violated constraint of the tables, or one of JavaScript's. */
export const isBug = (error: unknown): boolean =>
  /^(22|23|42)/.test(codeOf(error)) ||
  // Node's own errors, which say what the system refused, have a code.
  (codeOf(error) === "" && [TypeError, RangeError, ReferenceError].some((mistake) => error instanceof mistake));

/** @param retryAfterMs when to try again, if that may help */
export const failureOf = <E extends Thrown>(
  error: unknown,
  retryAfterMs: number,
): Effect.Effect<never, StoreFailure | E> => {
  if (isExpected(error)) return Effect.fail(error as E);
  if (error instanceof DirectoryLocked || error instanceof NewerStore) {
    return Effect.fail(new JobStoreUnusable({ cause: error.message }));
  }
  if (isBug(error)) return Effect.die(error);
  return Effect.fail(new JobStoreUnavailable({ cause: inOnePhrase(error), retryAfterMs }));
};

/** How long background work waits before it tries again. */
export const pauseMsOf = (failure: StoreFailure): number =>
  failure._tag === "JobStoreUnavailable" ? failure.retryAfterMs : unusablePauseMs;

/** An operator has to repair it. */
const unusablePauseMs = 10_000;

/** In one phrase, without addresses, names and paths. */
export const inOnePhrase = (error: unknown): string => {
  if (error instanceof DirectoryLocked || error instanceof NewerStore) return error.message;
  const code = codeOf(error);
  if (/^(ENOSPC|EDQUOT|53100)$/.test(code) || /no space left|quota exceeded/i.test(String(error))) {
    return "its disk is full";
  }
  if (code === "EACCES" || code === "EROFS" || code === "EPERM") return "it may not be written";
  if (code === "ECONNREFUSED" || code === "ENOENT" || code === "ENOTFOUND") return "its database does not answer";
  if (/^(28|3D)/.test(code)) return "its database does not let this service in";
  if (/^(57P|08)/.test(code) || /Connection terminated|timeout|ECONNRESET/i.test(String(error))) {
    return "its database went away";
  }
  return `its database failed${code === "" ? "" : ` (${code})`}`;
};

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
