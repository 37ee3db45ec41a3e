import { assert, it } from "@effect/vitest";

import { binding as mx } from "./binding.ts";

/** Ten operations a round, whose results are disposed of as a decode step's are. */
const run = (rounds: number): void => {
  const weight = mx.full([64, 64], 0.01);
  const norm = mx.full([64], 1);
  let x = mx.full([1, 64], 1);
  for (let round = 0; round < rounds; round++) {
    const scope = mx.openScope();
    const y = mx.fast.rmsNorm(mx.add(mx.matmul(x, weight), x), norm, 1e-5);
    const [low, high] = mx.split(y, 2, -1) as [typeof y, typeof y];
    const next = mx.concatenate([high, mx.multiply(mx.sigmoid(low), 0.5)], -1);
    if (round % 10 === 0) mx.eval(next);
    mx.closeScope(scope, next);
    x.dispose();
    x = next;
  }
  for (const tensor of [x, norm, weight]) tensor.dispose();
};

/** What is left of handles, some 100 bytes each, is V8's own business; it takes them away when it likes. */
const residentBytes = async (): Promise<number> => {
  (globalThis as { gc?: () => void }).gc?.();
  await new Promise((resolve) => setImmediate(resolve));
  mx.clearCache();
  return process.memoryUsage.rss();
};

it("leaks nothing over a million operations", async () => {
  // The allocators of C and of V8 grow to what the work needs at once, and then no more.
  run(100_000);
  const before = await residentBytes();
  const active = mx.getActiveMemory();
  run(100_000);
  assert.strictEqual(mx.getActiveMemory(), active);
  // A leak of the smallest buffer for each operation would be 100 MB.
  assert.isBelow((await residentBytes()) - before, 40 * 2 ** 20);
});
