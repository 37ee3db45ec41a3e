import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, describe, it } from "@effect/vitest";

import { isIntact } from "../../../../src/service/models/download/checksum.ts";
import { errorOf } from "../../../support/error-of.ts";

const folder = mkdtempSync(join(tmpdir(), "mlxd-checksum-"));
afterAll(() => rmSync(folder, { recursive: true }));

const path = join(folder, "config.json");
const content = '{"name": "민아 🦊"}\n';
writeFileSync(path, content);
const size = Buffer.byteLength(content);
const { signal } = new AbortController();

describe("isIntact", () => {
  it("compares the sha256 of a large file", async () => {
    const digest = createHash("sha256").update(content).digest("hex");
    assert.isTrue(await isIntact(path, { size, checksum: { algorithm: "sha256", digest } }, signal));
    assert.isFalse(await isIntact(path, { size, checksum: { algorithm: "sha256", digest: "0".repeat(64) } }, signal));
  });

  it("compares git's own id of a small file", async () => {
    const digest = execFileSync("git", ["hash-object", "--no-filters", path], { encoding: "utf8" }).trim();
    assert.isTrue(await isIntact(path, { size, checksum: { algorithm: "git-blob-sha1", digest } }, signal));
    const shorter = { size: size - 1, checksum: { algorithm: "git-blob-sha1", digest } as const };
    assert.isFalse(await isIntact(path, shorter, signal));
  });

  it("believes a file of which the hub says nothing, without reading it", async () => {
    assert.isTrue(await isIntact(join(folder, "missing"), { size: 1, checksum: undefined }, signal));
  });

  it("ends when the signal fires, and fails where there is no file", async () => {
    const checksum = { algorithm: "sha256", digest: "" } as const;
    assert.equal((await errorOf(isIntact(path, { size, checksum }, AbortSignal.abort()))).name, "AbortError");
    const missing = await errorOf(isIntact(join(folder, "missing"), { size, checksum }, signal));
    assert.include(missing.message, "ENOENT");
  });
});
