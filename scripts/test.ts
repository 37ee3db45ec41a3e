// npm test: every check of the repository, then every test. `npm test -- PATTERN` runs the test files whose path
// contains PATTERN and nothing else (`npm test -- -t NAME`: the tests with that name). `npm run test:long` runs the long
// forms, test/**/*.long.ts, without the checks; `npm run test:soak` those that may take an hour, test/**/*.soak.ts.
import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { TestCounts } from "../test/support/report.ts";

const root = join(import.meta.dirname, "..");
/** What a check exits with when there was nothing to check; its output is the reason. */
const skippedCode = 77;
const checkTimeoutMs = 5 * 60_000;
const testsTimeoutMs = 38 * 60_000;
const soakTimeoutMs = 6 * 60 * 60_000;
const isSoak = process.argv.includes("--soak");
const countsFile = ".cache/test-counts.json";

interface Check {
  readonly name: string;
  readonly command: readonly [program: string, ...args: string[]];
  /** The check waits for this file to exist. */
  readonly file?: string;
}

const checks: readonly Check[] = [
  { name: "lockfile", command: ["node", "scripts/complete-lockfile.ts", "--check"] },
  { name: "generated code", command: ["node", "scripts/proto/generated.ts"] },
  { name: "buf lint", command: ["buf", "lint"] },
  { name: "buf format", command: ["buf", "format", "proto", "--diff", "--exit-code"] },
  { name: "buf breaking", command: ["node", "scripts/proto/breaking.ts"] },
  { name: "oxfmt", command: ["oxfmt", "--check"] },
  { name: "oxlint", command: ["oxlint"] },
  { name: "tsc", command: ["tsc"] },
  { name: "tsc src/client", command: ["tsc", "-p", "src/client"] },
  { name: "knip", command: ["knip", "--no-progress", "--no-config-hints"] },
  {
    name: "deno check",
    command: ["deno", "check", "--no-lock", "--no-remote", "src/client/web.ts"],
    file: "src/client/web.ts",
  },
];

const environment = {
  ...process.env,
  PATH: `${root}/node_modules/.bin:${process.env["PATH"] ?? ""}`,
  DENO_DIR: ".cache/deno",
  DENO_NO_UPDATE_CHECK: "1",
  MLXD_TEST_COUNTS: countsFile,
};

interface Ended {
  readonly code: number;
  readonly output: string;
}

const run = ([program, ...args]: Check["command"], stdio: "pipe" | "inherit", timeout: number): Promise<Ended> =>
  new Promise((resolve) => {
    const child = spawn(program, args, { env: environment, stdio: ["ignore", stdio, stdio], timeout });
    const chunks: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.on("error", (error) => resolve({ code: 1, output: error.message }));
    child.on("close", (code, signal) => {
      const output = Buffer.concat(chunks).toString().trim();
      const tooLong = child.killed ? ` after ${timeout / 60_000} minutes, which is the most` : "";
      resolve({ code: code ?? 1, output: signal ? `${output}\nended by ${signal}${tooLong}`.trim() : output });
    });
  });

const check = async ({ name, command, file }: Check): Promise<keyof TestCounts> => {
  const started = performance.now();
  const { code, output } =
    file && !existsSync(file)
      ? { code: skippedCode, output: `there is no ${file}` }
      : await run(command, "pipe", checkTimeoutMs);
  const seconds = `${((performance.now() - started) / 1000).toFixed(1)} s`;
  if (code === skippedCode) console.log(`skipped  ${name}: ${output}`);
  else if (code === 0) console.log(`passed   ${name} (${seconds})`);
  else console.log(`FAILED   ${name} (${seconds}): ${command.join(" ")}\n${output}\n`);
  return code === skippedCode ? "skipped" : code === 0 ? "passed" : "failed";
};

const runTests = async (args: readonly string[]): Promise<TestCounts> => {
  rmSync(countsFile, { force: true });
  const reporters = ["--reporter=default", "--reporter=test/support/report.ts"];
  const { code, output } = await run(
    ["vitest", "run", ...reporters, ...args],
    "inherit",
    isSoak ? soakTimeoutMs : testsTimeoutMs,
  );
  const counts: TestCounts = existsSync(countsFile)
    ? (JSON.parse(readFileSync(countsFile, "utf8")) as TestCounts)
    : { passed: 0, failed: 0, skipped: 0 };
  // It may also have found no test, been killed, or failed in its own set-up.
  if (code !== 0 && counts.failed === 0) {
    console.log(`FAILED   vitest ended with ${code} and no failed test: ${output}`);
    counts.failed = 1;
  }
  return counts;
};

process.chdir(root);
const form = ["long", "soak"].find((each) => process.argv.includes(`--${each}`));
const pattern = process.argv.slice(2).filter((argument) => argument !== `--${form}`);
const total: TestCounts = { passed: 0, failed: 0, skipped: 0 };
if (pattern.length === 0 && form === undefined) for (const one of checks) total[await check(one)]++;
const tests = await runTests(form === undefined ? pattern : [`--config=vitest.${form}.config.ts`, ...pattern]);
const sum = (key: keyof TestCounts) => total[key] + tests[key];
const skipped = sum("skipped") > 0 ? `, ${sum("skipped")} skipped` : "";
console.log(`${sum("passed")} passed, ${sum("failed")} failed${skipped}`);
process.exitCode = sum("failed") > 0 ? 1 : 0;
