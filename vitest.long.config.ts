import { defineConfig } from "vitest/config";

import config from "./vitest.config.ts";

/** The long forms: `npm run test:long`. They take minutes each, or download what `npm test` should not wait for. */
export default defineConfig({
  test: { ...config.test, include: ["test/**/*.long.ts"], testTimeout: 15 * 60_000, hookTimeout: 15 * 60_000 },
});
