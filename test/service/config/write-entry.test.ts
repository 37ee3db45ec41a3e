import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Effect } from "effect";
import { assert, describe, it } from "vitest";

import { readConfigFile } from "../../../src/service/config/config-file.ts";
import { tryWriteEntry, withEntryIn, writeEntry } from "../../../src/service/config/write-entry.ts";

const entry = { kind: "backend", name: "attic", declaration: { engine: "ollama", permits: 2 } } as const;
const file = `# Who may call
access: { tenants: {} }

backends:
  # In the attic
  Attic: { engine: ollama } # for now
  other: { engine: vllm, base_url: "\${OTHER:-http://other/v1}" }
`;

describe("an entry that is written to mlxd.yaml", () => {
  it("replaces the one of its name, and leaves the rest as it is written", () => {
    assert.strictEqual(
      withEntryIn(file, entry),
      file.replace("  Attic: { engine: ollama } # for now\n", "  Attic:\n    engine: ollama\n    permits: 2\n"),
    );
    assert.strictEqual(
      withEntryIn(file, { ...entry, declaration: undefined }).replace("  # In the attic\n", ""),
      file.replace("  # In the attic\n  Attic: { engine: ollama } # for now\n", ""),
    );
  });

  it("makes its section, and the file's first one", () => {
    const written = "backends:\n  attic:\n    engine: ollama\n    permits: 2\n";
    assert.strictEqual(withEntryIn("", entry), written);
    assert.strictEqual(withEntryIn("backends:\n", entry), written);
    assert.strictEqual(withEntryIn("service: { port: 1 }\n", entry), `service: { port: 1 }\n${written}`);
  });

  it("replaces or removes one whose name is a number there", () => {
    const numbers = "models:\n  70: {}\n  b: {}\n";
    const update = { kind: "model", name: "70", declaration: { ttl: "1s" } } as const;
    assert.strictEqual(withEntryIn(numbers, update), "models:\n  70:\n    ttl: 1s\n  b: {}\n");
    assert.strictEqual(withEntryIn(numbers, { ...update, declaration: undefined }), "models:\n  b: {}\n");
  });

  it("is JSON in a file that is", () => {
    const written = withEntryIn(
      '{"service": {"port": 1}, "models": {"a": {}}}',
      {
        kind: "model",
        name: "b",
        declaration: { aliases: ["x"], pinned: true, defaults: { top_p: 0.5 } },
      },
      { isJson: true },
    );
    assert.deepStrictEqual(JSON.parse(written), {
      service: { port: 1 },
      models: { a: {}, b: { aliases: ["x"], pinned: true, defaults: { top_p: 0.5 } } },
    });
  });

  it("names no variable by its text", () => {
    const folder = mkdtempSync(join(tmpdir(), "mlxd-entry-"));
    try {
      const path = join(folder, "mlxd.yaml");
      const stops = ["${HOME}", "$$", "$"];
      writeFileSync(
        path,
        withEntryIn("", { kind: "model", name: "m", declaration: { defaults: { stop_sequences: stops } } }),
      );
      assert.deepStrictEqual(readConfigFile(path, { HOME: "/" }).models["m"]?.defaults?.stop_sequences, stops);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("keeps the file's permissions, its links, and nothing beside it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "mlxd-entry-"));
    try {
      const [target, link] = [join(folder, "real.yaml"), join(folder, "mlxd.yaml")];
      writeFileSync(target, "");
      chmodSync(target, 0o640);
      symlinkSync(target, link);
      await Effect.runPromise(tryWriteEntry(link, entry));
      assert.strictEqual(readFileSync(target, "utf8"), "");
      assert.deepStrictEqual(readdirSync(folder).toSorted(), ["mlxd.yaml", "real.yaml"]);
      await Effect.runPromise(writeEntry(link, entry));
      assert.include(readFileSync(target, "utf8"), "attic:");
      assert.strictEqual(statSync(target).mode & 0o777, 0o640);
      assert.deepStrictEqual(readdirSync(folder).toSorted(), ["mlxd.yaml", "real.yaml"]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("is refused where there is no file, or none that can be written", async () => {
    for (const write of [writeEntry, tryWriteEntry]) {
      const problemOf = async (path: string | undefined) =>
        (await Effect.runPromise(Effect.flip(write(path, entry)))).message;
      assert.include(await problemOf(undefined), "there is no configuration file to write it to");
      assert.match(await problemOf("/nowhere/mlxd.yaml"), /backends\.attic: it cannot be written \(ENOENT\)/);
    }
  });
});
