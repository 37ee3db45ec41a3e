import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Reporter, TestModule, Vitest } from "vitest/node";

/** What `scripts/test.ts` adds to its own checks. */
export interface TestCounts {
  passed: number;
  failed: number;
  skipped: number;
}

/**
 * Tells why each skipped test was skipped and writes the counts to the file in MLXD_TEST_COUNTS.
 * A test that is skipped without a reason counts as failed: use `context.skip("reason")`.
 */
export default class CountingReporter implements Reporter {
  #filtered = false;

  onInit(vitest: Vitest) {
    this.#filtered = vitest.config.testNamePattern !== undefined;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]) {
    const counts: TestCounts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    const say = (line: string) => process.stdout.write(`${line}\n`);
    for (const module of modules) {
      // A file or a suite that could not run: its tests are not there to fail.
      const broken = [module, ...module.children.allSuites()].filter((part) => part.errors().length > 0);
      counts.failed += broken.length;
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === "passed") counts.passed++;
        else if (result.state === "failed") counts.failed++;
        else if (result.state === "pending") counts.failed += broken.length > 0 ? 0 : 1;
        else if (result.note) {
          counts.skipped++;
          say(`skipped: ${module.relativeModuleId} > ${test.fullName}: ${result.note}`);
        } else if (!this.#filtered && broken.length === 0) {
          counts.failed++;
          say(`skipped without a reason: ${module.relativeModuleId} > ${test.fullName}`);
        }
      }
    }
    const file = process.env["MLXD_TEST_COUNTS"];
    if (!file) return;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(counts));
  }
}
