import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/setup.ts"],
    // A process per file: a test that loads MLX or ends a process takes no other test with it.
    pool: "forks",
    // The worker drives the garbage collector itself.
    execArgv: ["--expose-gc"],
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    allowOnly: false,
  },
});
