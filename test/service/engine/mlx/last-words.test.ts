import { assert, describe, it } from "@effect/vitest";

import { processEnd } from "../../../../src/service/engine/mlx/last-words.ts";

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
    assert.deepEqual(processEnd("signal SIGABRT", words, false), {
      how: `signal SIGABRT: ${told}`,
      cause: "memory",
      reason: "the machine had no memory left",
    });
  });

  it.each([
    ["Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)", "memory", "no memory left"],
    ["Caused GPU Timeout Error (00000002:kIOGPUCommandBufferCallbackErrorTimeout)", "gpu", "in time"],
    ["Impacting Interactivity (0000000e:kIOGPUCommandBufferCallbackErrorImpactingInteractivity)", "gpu", "the screen"],
    ["Ignored (00000004:kIOGPUCommandBufferCallbackErrorSubmissionsIgnored)", "gpu", "earlier errors"],
    ["Internal Error (0000000e:kIOGPUCommandBufferCallbackErrorInternal)", "gpu", "(Internal)"],
  ] as const)("tells why the GPU gave a command up: %s", (error, cause, told) => {
    const words = `libc++abi: terminating due to uncaught exception of type std::runtime_error: [METAL] Command buffer execution failed: ${error}\n`;
    const end = processEnd("signal SIGABRT", words, false);
    assert.strictEqual(end.cause, cause);
    assert.include(end.reason, told);
    assert.strictEqual(end.how, `signal SIGABRT: ${end.reason}`);
  });

  it("tells in a sentence that there is no GPU", () => {
    const words =
      "*** Terminating app due to uncaught exception 'NSRangeException', reason: 'index 0 beyond bounds for empty array'\n";
    const { how, cause } = processEnd("signal SIGABRT", words, false);
    assert.strictEqual(cause, "no-mlx");
    assert.include(how, "no Metal GPU can be used");
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
