import { defineConfig } from "vitest/config";

import { SlowestFirst } from "./test/support/SlowestFirst.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/setup.ts"],
    // A process per file: a test that loads MLX or ends a process takes no other test with it.
    pool: "forks",
    // The worker drives the garbage collector itself.
    execArgv: ["--expose-gc"],
    maxWorkers: 2,
    sequence: { sequencer: SlowestFirst },
    // Only what hangs takes this long: tests run beside other work, on slow machines too.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    allowOnly: false,
  },
});
