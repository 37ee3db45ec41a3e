import { assert, describe, it } from "@effect/vitest";

import { processEnd } from "../../../src/service/engine/mlx/last-words.ts";

describe("the end of an engine process", () => {
  it.each([
    ["terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n", "std::bad_alloc"],
    [
      "libc++abi: terminating due to uncaught exception of type std::runtime_error: [metal::malloc] Unable to allocate 999 bytes.\n",
      "[metal::malloc] Unable to allocate 999 bytes.",
    ],
    [
      "<--- Last few GCs --->\nFATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n",
      "JavaScript heap out of memory",
    ],
    ["node: Cannot allocate memory\n", "Cannot allocate memory"],
  ])("tells that there was no memory from what it wrote: %s", (words, told) => {
    assert.deepEqual(processEnd("signal SIGABRT", words, false), { how: `signal SIGABRT: ${told}`, cause: "memory" });
  });

  it("tells that the system ended it for lack of memory", () => {
    const { how, cause } = processEnd("signal SIGKILL", "", true);
    assert.deepEqual([how, cause], ["signal SIGKILL: the system ended it for lack of memory", "memory"]);
  });

  it("tells why there is no MLX", () => {
    const words = "Error: MLX cannot be loaded: Error: Cannot find module '@frost-beta/mlx'\n    at load (mlx.ts:1)\n";
    assert.deepEqual(processEnd("exit code 1", words, false), {
      how: "Error: Cannot find module '@frost-beta/mlx'",
      cause: "no-mlx",
    });
  });

  it("knows no cause where nothing was said", () => {
    for (const words of ["", "a warning about memory\n"]) {
      assert.deepEqual(processEnd("signal SIGKILL", words, false), { how: "signal SIGKILL", cause: undefined });
    }
  });
});
