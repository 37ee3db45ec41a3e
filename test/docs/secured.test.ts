/** The secured set-up of the README, line by line as it stands there; only the folder and the port are others. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, assert, beforeAll, it } from "vitest";

import { createAuthority } from "../support/certificates.ts";
import { requestHttp1 } from "../support/raw-http.ts";
import { startService } from "../support/running-service.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const section = readFileSync(join(root, "README.md"), "utf8").split("\n## A secured set-up\n")[1] ?? "";
const [, block = ""] = /```sh\n(.*?)```/s.exec(section) ?? [];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-secured-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const run = (script: string) =>
  promisify(execFile)("bash", ["-euc", script.replaceAll("bin/mlxd", join(root, "bin/mlxd"))], { cwd: folder });

it("has ten lines at most, and answers only who has the key, over TLS", async (context) => {
  if ((await createAuthority(folder, "probe")) === undefined) {
    return context.skip("openssl is missing or makes no certificate");
  }
  const [before = "", after = ""] = block.split("npm start &\n");
  assert.isAtMost(block.trimEnd().split("\n").length, 10);
  await run(before);
  assert.equal(statSync(join(folder, "ci.key")).mode & 0o777, 0o600);
  const service = await startService({ MLXD_CONFIG: join(folder, "mlxd.yaml") });
  try {
    const { stdout } = await run(after.replace("50051", String(service.port)));
    assert.include(stdout, "4");
    const keyless = after.replace("50051", String(service.port)).replace("--key-file ci.key", "");
    const refused = await run(keyless).then(
      () => "answered",
      ({ stderr }: { stderr: string }) => stderr,
    );
    assert.include(refused, "CREDENTIALS_INVALID");
    const cleartext = requestHttp1(service.port, { method: "GET", path: "/" });
    assert.equal(
      await cleartext.then(
        () => "answered",
        () => "refused",
      ),
      "refused",
    );
  } finally {
    await service.stop();
  }
}, 240_000);
