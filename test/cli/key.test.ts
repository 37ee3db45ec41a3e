/** Keys as the command makes them and sends them. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { runCommand } from "../support/mlxd-command.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";

let folder: string;
let server: TestServer;
let made: { readonly id: string; readonly key: string; readonly hash: string };
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-key-"));
  const { stdout } = await runCommand(["key", "new", "ci", "--json"]);
  made = JSON.parse(stdout);
  const keys = [{ id: made.id, hash: made.hash }];
  server = await startTestServer({ access: { tenants: { acme: { roles: ["inference"], keys } } } });
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

const models = (args: ReadonlyArray<string>, environment: Record<string, string> = {}) =>
  runCommand(["models", "--json", "--server", server.url, ...args], environment);

describe("mlxd key", () => {
  it("makes another key each time, with a line for mlxd.yaml", async () => {
    const { stdout } = await runCommand(["key", "new", "ci"]);
    const [, key = ""] = /key, for its owner: +(mlxd_[\w-]{43})\n/.exec(stdout) ?? [];
    assert.notEqual(key, made.key);
    assert.match(stdout, /\{ id: ci, hash: "sha256:[0-9a-f]{64}" \}/);
    assert.notInclude(stdout.replace(key, ""), key);
  });

  it("writes it into a new file, which only its user may read, and never into another one", async () => {
    const path = join(folder, "new.key");
    const { stdout } = await runCommand(["key", "new", "ci", "--out", path]);
    assert.match(stdout, /^\{ id: ci, hash: "sha256:[0-9a-f]{64}" \}\n$/);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const key = readFileSync(path, "utf8");
    assert.notInclude(stdout, key.trim());
    const again = await runCommand(["key", "new", "ci", "--out", path]);
    assert.deepEqual([again.exitCode, again.stdout], [1, ""]);
    assert.include(again.stderr, "the key file cannot be made (EEXIST)");
    assert.equal(readFileSync(path, "utf8"), key);
  });

  it("tells the hash of a key that there is", async () => {
    const { stdout } = await runCommand(["key", "hash", "ci", "--json"], {}, `${made.key}\n`);
    assert.deepEqual(JSON.parse(stdout), { id: "ci", hash: made.hash });
  });

  it("refuses a short one without repeating it", async () => {
    const { exitCode, stderr } = await runCommand(["key", "hash"], {}, "hunter2");
    assert.equal(exitCode, 2);
    assert.include(stderr, "a key has 32 to 512 characters");
    assert.notInclude(stderr, "hunter2");
  });
});

describe("the command with a key", () => {
  it("takes it from MLXD_API_KEY", async () => {
    const { exitCode, stderr } = await models([], { MLXD_API_KEY: made.key });
    assert.deepEqual([exitCode, stderr], [0, ""]);
  });

  it("takes it from a file, before the variable", async () => {
    const path = join(folder, "ci.key");
    writeFileSync(path, `${made.key}\n`);
    const { exitCode, stderr } = await models(["--key-file", path], { MLXD_API_KEY: "x".repeat(40) });
    assert.deepEqual([exitCode, stderr], [0, ""]);
  });

  it("says what to do where it has none", async () => {
    const { exitCode, stderr } = await models([]);
    assert.equal(exitCode, 1);
    assert.match(stderr, /give your key by --key-file or MLXD_API_KEY \(CREDENTIALS_INVALID\)/);
  });

  it("tells of a key file that is not there, without its path", async () => {
    const { exitCode, stderr } = await models(["--key-file", join(folder, "none")]);
    assert.equal(exitCode, 1);
    assert.include(stderr, "the key file cannot be read (ENOENT)");
  });
});
