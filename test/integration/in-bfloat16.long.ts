/**
 * The integration tests once more, with every model in bfloat16 as on a Mac. They check what is true of any numbers: what a
 * constraint allows, what a cache finds, that a seed repeats its text.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync } from "node:fs";
import { join } from "node:path";
import { assert, it } from "vitest";

const root = join(import.meta.dirname, "../..");

/** These start no engine of this service. */
const withoutEngine = ["backend-keys", "log-reader", "managed-backend", "older-client", "taken-port"];

const files = globSync("test/integration/*.test.ts", { cwd: root }).filter(
  (file) => !withoutEngine.some((name) => file.endsWith(`/${name}.test.ts`)),
);

it("the integration tests hold in bfloat16", { timeout: 20 * 60_000 }, async () => {
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const child = spawn(process.execPath, [vitest, "run", "--reporter=dot", ...files], {
    cwd: root,
    env: { ...process.env, MLXD_WEIGHTS: "bfloat16", MLXD_TEST_COUNTS: undefined },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const [code] = (await once(child, "exit")) as [number | null];
  assert.equal(code, 0);
});
