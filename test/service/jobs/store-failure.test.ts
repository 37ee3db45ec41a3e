import { Cause, Effect, Exit, Result } from "effect";
import { assert, describe, it } from "vitest";

import { JobNotFound, type ServiceError } from "../../../src/service/domain/errors.ts";
import { failureOf, inOnePhrase, pauseMsOf } from "../../../src/service/jobs/store-failure.ts";
import { DirectoryLocked } from "../../../src/service/jobs/store/directory-lock.ts";
import { NewerStore } from "../../../src/service/jobs/store/migrations.ts";

const coded = (code: string, message = "failed at /home/someone") => Object.assign(new Error(message), { code });

/** What a caller gets; undefined where it is a bug. */
const told = (error: unknown): ServiceError | undefined => {
  const exit = Effect.runSyncExit(failureOf<JobNotFound>(error, 7_000));
  assert.isTrue(Exit.isFailure(exit));
  const found = Exit.isFailure(exit) ? Cause.findError(exit.cause) : undefined;
  return found !== undefined && Result.isSuccess(found) ? found.success : undefined;
};

describe("a failure of the store", () => {
  it.each([
    [coded("ENOSPC"), "its disk is full"],
    [coded("EDQUOT"), "its disk is full"],
    [coded("53100"), "its disk is full"],
    [coded("57P01", "PANIC: could not write: No space left on device"), "its disk is full"],
    [coded("EROFS"), "it may not be written"],
    [coded("ECONNREFUSED"), "its database does not answer"],
    [coded("28P01"), "its database does not let this service in"],
    [coded("57P01"), "its database went away"],
    [coded("XX000"), "its database failed (XX000)"],
    [new Error("unknown, at /home/someone"), "its database failed"],
  ])("%s is told in a phrase without paths", (error, phrase) => {
    assert.strictEqual(inOnePhrase(error), phrase);
    const failure = told(error);
    assert.strictEqual(failure?._tag, "JobStoreUnavailable");
    assert.propertyVal(failure, "retryAfterMs", 7_000);
    assert.notInclude(failure?.message, "/home/someone");
  });

  it("that somebody has to mend says so", () => {
    for (const error of [new DirectoryLocked("1"), new NewerStore(3, 2)]) {
      assert.strictEqual(told(error)?._tag, "JobStoreUnusable");
      assert.include(told(error)?.message, error.message);
    }
  });

  it("that is the caller's is left as it is, and a wrong statement is a bug", () => {
    const missing = new JobNotFound({ jobId: "none" });
    assert.strictEqual(told(missing), missing);
    for (const code of ["22P02", "23505", "42601"]) assert.isUndefined(told(coded(code)));
  });

  it("is waited out as long as it says", () => {
    const unavailable = told(coded("ENOSPC"));
    const unusable = told(new DirectoryLocked("1"));
    if (unavailable?._tag !== "JobStoreUnavailable" || unusable?._tag !== "JobStoreUnusable") return assert.fail();
    assert.deepEqual([pauseMsOf(unavailable), pauseMsOf(unusable)], [7_000, 10_000]);
  });
});
