/** The systemd unit is one that systemd accepts, is hardened, and says what docs/deploy.md says. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it, type TestContext } from "@effect/vitest";

const root = join(import.meta.dirname, "../..");
const unit = readFileSync(join(root, "deploy/systemd/mlxd.service"), "utf8");

const requireSystemd = (context: TestContext): void => {
  if (spawnSync("systemd-analyze", ["--version"]).error !== undefined) context.skip("there is no systemd-analyze");
};

describe("the systemd unit", () => {
  let folder = "";
  let file = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "mlxd-systemd-"));
    mkdirSync(join(folder, "mlxd/bin"), { recursive: true });
    writeFileSync(join(folder, "mlxd/bin/mlxd"), "#!/bin/sh\n", { mode: 0o755 });
    file = join(folder, "mlxd.service");
    writeFileSync(file, unit.replaceAll("/opt/mlxd", join(folder, "mlxd")));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("is accepted as it stands", (context) => {
    requireSystemd(context);
    const { status, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", file], { encoding: "utf8" });
    const ours = stderr.split("\n").filter((line) => line.includes("mlxd"));
    assert.deepEqual(ours, []);
    assert.equal(status, 0, stderr);
  });

  it("exposes at most 3.0 of 10, as systemd counts it", (context) => {
    requireSystemd(context);
    const told = execFileSync("systemd-analyze", ["security", "--offline=true", "--threshold=30", "--no-pager", file], {
      encoding: "utf8",
    });
    assert.match(told, /exposure level for mlxd\.service: [0-2]\.\d/);
  });

  it("has settings that the service knows, and leaves it time to drain", () => {
    const settings = readFileSync(join(root, "docs/configuration.md"), "utf8");
    for (const name of unit.match(/MLXD_[A-Z_]+/g) ?? []) assert.include(settings, `\`${name}\``);
    const drainMs = Number(/`MLXD_DRAIN_MS` +\| `(\d+)`/.exec(settings)?.[1]);
    assert.isAbove(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1]), drainMs / 1000);
  });
});
