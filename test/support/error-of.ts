import { assert } from "vitest";

import { isMlxdError, type MlxdError } from "../../src/client/node.ts";

/** What a promise is rejected with; fails where it is not. */
export const errorOf = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => assert.fail("it was not rejected"),
    (error: unknown) => {
      assert.instanceOf(error, Error);
      return error;
    },
  );

/** The error of a call of the client; fails where the call succeeds, or fails with anything else. */
export const mlxdErrorOf = async (call: Promise<unknown>): Promise<MlxdError> => {
  const error = await errorOf(call);
  assert(isMlxdError(error), String(error));
  return error;
};
