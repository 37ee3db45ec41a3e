import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, describe, it } from "vitest";

import { serverBytes } from "../../../../src/service/models/catalog/server-bytes.ts";

const processBytes = 512 * 1024 ** 2;

describe("what a server of a model is expected to take", () => {
  it("is the size of its weights beside the process, or of its one file", () => {
    const folder = mkdtempSync(join(tmpdir(), "mlxd-server-bytes-"));
    try {
      for (const name of ["a.safetensors", "b.safetensors", "config.json"]) writeFileSync(join(folder, name), "12345");
      assert.strictEqual(serverBytes(folder), processBytes + 10);
      assert.strictEqual(serverBytes(join(folder, "config.json")), processBytes + 5);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("is that of the process where the server fetches the model itself", () => {
    assert.strictEqual(serverBytes("/nowhere/mlx-community/Qwen3-8B-4bit"), processBytes);
  });

  it("is that of the process where its files cannot be read, which makes no catalog unreadable", () => {
    for (const path of [`/${"x".repeat(300)}`, "/dev/null/model", "/a\0b"])
      assert.strictEqual(serverBytes(path), processBytes);
  });
});
