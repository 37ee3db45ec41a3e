import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { homedir, hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, assert, describe, it } from "@effect/vitest";

import { bounded, withoutPaths } from "../../scripts/mac-check/section.ts";

const folder = mkdtempSync(join(tmpdir(), "mlxd-mac-check-"));
afterAll(() => rmSync(folder, { recursive: true }));

interface Report {
  readonly counts: { readonly passed: number; readonly failed: number; readonly skipped: number };
  readonly machine: ReadonlyArray<{ readonly name: string; readonly figures?: Readonly<Record<string, unknown>> }>;
}

describe("mac-check", { timeout: 600_000 }, () => {
  it("writes a report of what applies here, without a path or this machine's names", async () => {
    const out = join(folder, "report.json");
    const only = ["machine", "memory", "life"].flatMap((name) => ["--only", name]);
    const { stderr } = await promisify(execFile)(process.execPath, ["scripts/mac-check.ts", "--out", out, ...only]);
    const text = readFileSync(out, "utf8");
    const report = JSON.parse(text) as Report;
    assert.strictEqual(report.counts.failed, 0, stderr);
    assert.isAtLeast(report.counts.passed, 6);
    const mlx = report.machine.find(({ name }) => name === "MLX loads");
    assert.includeMembers(Object.keys(mlx?.figures ?? {}), ["binding", "mlx", "device"]);
    for (const secret of [process.cwd(), homedir(), hostname(), tmpdir()]) assert.notInclude(text, secret);
  });

  it("keeps paths out of what it tells", () => {
    const told = withoutPaths({
      name: "x",
      status: "failed",
      detail: "cannot read '/Users/ann/m.safetensors' in ~/models",
    });
    assert.strictEqual(told.detail, "cannot read '(path)' in (path)");
  });

  it("lets no value pass that is no number", () => {
    assert.strictEqual(bounded("x", Number.NaN, 1).status, "failed");
    assert.strictEqual(bounded("x", 0.5, 1).status, "passed");
  });
});
