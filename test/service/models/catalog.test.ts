import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";

import { readCatalog } from "../../../src/service/models/catalog.ts";
import { writeCheckpoint } from "../../fixtures/checkpoint.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-catalog-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (name: string, changes: Record<string, unknown> = {}) => writeCheckpoint(join(folder, name), changes);
const names = async () => (await readCatalog(folder)).map(({ facts }) => [facts.id, ...facts.aliases]);

describe("readCatalog", () => {
  it("lists the model folders by name, links followed, other files and hidden folders left out", async () => {
    write("qwen-b");
    write("Qwen-a");
    write(".hidden");
    writeFileSync(join(folder, "README.md"), "");
    symlinkSync(join(folder, "qwen-b"), join(folder, "z-link"));
    symlinkSync(join(folder, "nowhere"), join(folder, "z-dangling"));
    assert.deepEqual(await names(), [["Qwen-a"], ["qwen-b"], ["z-link"]]);
  });

  it("takes a model's own folder as a catalog of one", async () => {
    const [entry, ...others] = await readCatalog(write("demo"));
    assert.equal(entry?.facts.id, "demo");
    assert.equal(entry?.facts.directory, join(folder, "demo"));
    assert.lengthOf(others, 0);
  });

  it("lists a broken model with the reason, beside the others", async () => {
    write("good");
    write("no-weights", { "model.safetensors": undefined });
    mkdirSync(join(folder, "empty"));
    const entries = await readCatalog(folder);
    assert.deepEqual(
      entries.map(({ facts, problem }) => [facts.id, problem]),
      [
        ["empty", "config.json is missing"],
        ["good", ""],
        ["no-weights", "model.safetensors is missing"],
      ],
    );
  });

  it("gives short names to models that are named after a repository", async () => {
    write("mlx-community--Qwen3-8B-4bit");
    write("org--Phi-4-mlx-8bit");
    write("Llama-3.2-1B-bf16");
    assert.deepEqual(await names(), [
      ["Llama-3.2-1B-bf16", "Llama-3.2-1B"],
      ["mlx-community--Qwen3-8B-4bit", "Qwen3-8B-4bit", "Qwen3-8B"],
      ["org--Phi-4-mlx-8bit", "Phi-4-mlx-8bit", "Phi-4"],
    ]);
    const [, qwen] = await readCatalog(folder);
    assert.equal(qwen?.facts.source, "mlx-community/Qwen3-8B-4bit");
  });

  it("gives no name to two models", async () => {
    write("a--Qwen3-8B-4bit");
    write("b--Qwen3-8B-8bit");
    write("phi");
    write("c--Phi");
    assert.deepEqual(await names(), [
      ["a--Qwen3-8B-4bit", "Qwen3-8B-4bit"],
      ["b--Qwen3-8B-8bit", "Qwen3-8B-8bit"],
      ["c--Phi"],
      ["phi"],
    ]);
  });

  it("is empty where the folder is, and fails where there is none", async () => {
    assert.deepEqual(await readCatalog(folder), []);
    const code = await readCatalog(join(folder, "nowhere")).then(
      () => "",
      (error: { code: string }) => error.code,
    );
    assert.equal(code, "ENOENT");
  });
});
