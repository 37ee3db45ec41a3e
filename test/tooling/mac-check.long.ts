/** All of it, as it is run on a Mac. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { assert, it } from "@effect/vitest";

it("mac-check passes here, with what applies", { timeout: 900_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "mlxd-mac-check-"));
  const out = join(folder, "report.json");
  const ended = await promisify(execFile)(process.execPath, ["scripts/mac-check.ts", "--out", out]).catch(
    (cause: Error & { stderr?: string }) => ({ stderr: cause.stderr ?? cause.message }),
  );
  const { counts } = JSON.parse(readFileSync(out, "utf8")) as { counts: { passed: number; failed: number } };
  rmSync(folder, { recursive: true });
  assert.strictEqual(counts.failed, 0, ended.stderr);
  assert.isAtLeast(counts.passed, 35);
});
