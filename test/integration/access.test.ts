/** The service as it is started, with keys: they change while it runs, and no call is lost over it. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { bearer, storedKey } from "../support/api-key.ts";
import { requestHttp1 } from "../support/raw-http.ts";
import { type RunningService, startService } from "../support/running-service.ts";

let folder: string;
let service: RunningService;
const declare = (...ids: string[]) =>
  writeFileSync(
    join(folder, "mlxd.yaml"),
    JSON.stringify({ access: { tenants: { acme: { roles: ["inference"], keys: ids.map(storedKey) } } } }),
  );
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-access-"));
  declare("a");
  service = await startService({ MLXD_CONFIG: join(folder, "mlxd.yaml"), MLXD_PRELOAD: "none" });
}, 120_000);
afterAll(async () => {
  await service.stop();
  rmSync(folder, { recursive: true });
});

const statusFor = async (id: string) =>
  (
    await requestHttp1(service.port, {
      path: "/mlxd.v1.ModelService/ListModels",
      headers: { "content-type": "application/json", ...bearer(id) },
      body: "{}",
    })
  ).status;

/** What a key is answered with, once that is so. */
const until = async (id: string, wanted: number): Promise<void> => {
  const giveUpAt = Date.now() + 60_000;
  while ((await statusFor(id)) !== wanted) {
    if (Date.now() > giveUpAt) assert.fail(`key ${id} was not answered with ${wanted} in time`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

describe("keys in mlxd.yaml", () => {
  it("are taken in when the file changes, and with SIGHUP", async () => {
    assert.equal(await statusFor("a"), 200);
    assert.equal(await statusFor("b"), 401);
    declare("a", "b");
    await until("b", 200);
    assert.equal(await statusFor("a"), 200);
    declare("b");
    service.process.kill("SIGHUP");
    await until("a", 401);
    assert.equal(await statusFor("b"), 200);
  }, 130_000);

  it("stay in force while the file is broken", async () => {
    writeFileSync(join(folder, "mlxd.yaml"), "access: [");
    service.process.kill("SIGHUP");
    // Longer than a look at the file takes.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    assert.equal(await statusFor("b"), 200);
    assert.equal(await statusFor("z"), 401);
  }, 60_000);

  it("do not stand in what a process list shows", () => {
    const shown = execFileSync("ps", ["-o", "args=", "-p", String(service.process.pid)], { encoding: "utf8" });
    assert.notInclude(shown, "mlxd_test");
  });
});
