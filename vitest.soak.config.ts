import { defineConfig } from "vitest/config";

import config from "./vitest.config.ts";

/** Tests that may take an hour: `npm run test:soak`. They are for before a release; CI does not run them. */
export default defineConfig({
  test: { ...config.test, include: ["test/**/*.soak.ts"], testTimeout: 90 * 60_000, hookTimeout: 15 * 60_000 },
});
