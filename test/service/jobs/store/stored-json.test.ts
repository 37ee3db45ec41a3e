import { assert, describe, it } from "vitest";

import {
  failureFromStored,
  failureToStored,
  fromStored,
  type StoredFailure,
  toStored,
} from "../../../../src/service/jobs/store/stored-json.ts";
import { errorCases } from "../../../support/service-errors.ts";

const throughText = (failure: StoredFailure): StoredFailure => fromStored(toStored(failure));

describe("what is stored", () => {
  it("reads back with its bytes", () => {
    const value = { bytes: new Uint8Array([0, 1, 255]), list: [{ text: "🦊" }], none: null };
    assert.deepEqual(fromStored(toStored(value)), value);
  });

  it.each(errorCases.map(({ error }) => [error._tag, error] as const))("reads back as the failure %s", (_, error) => {
    const read = failureFromStored(throughText(failureToStored({ type: "error", error })));
    if (read.type !== "error") return assert.fail("it was read as a bug");
    assert.strictEqual(read.error.constructor, error.constructor);
    assert.strictEqual(read.error.message, error.message);
    assert.deepEqual({ ...read.error }, { ...error });
  });

  it("reads back as a bug where it is one, or where it is of another version", () => {
    assert.deepEqual(failureFromStored(throughText({ type: "defect", requestId: "a/0" })), {
      type: "defect",
      requestId: "a/0",
    });
    for (const tag of ["OfTomorrow", "JobNotFound"]) {
      const read = failureFromStored({ type: "error", tag, fields: { other: 1 } });
      assert.deepEqual(read, { type: "defect", requestId: tag });
    }
  });
});
