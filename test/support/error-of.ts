import { assert } from "vitest";

/** What a promise is rejected with; fails where it is not. */
export const errorOf = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => assert.fail("it was not rejected"),
    (error: unknown) => {
      assert.instanceOf(error, Error);
      return error;
    },
  );
