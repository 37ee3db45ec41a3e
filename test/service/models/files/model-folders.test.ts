import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest";

import { exists, isFolder, isInside, modelFolders } from "../../../../src/service/models/files/model-folders.ts";
import { errorOf } from "../../../support/error-of.ts";

let root: string;
const at = (...parts: string[]) => join(root, ...parts);
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "mlxd-folders-"));
  for (const name of ["models/b", "models/a", "models/.hidden", "elsewhere/c"])
    mkdirSync(at(name), { recursive: true });
  writeFileSync(at("models/notes.txt"), "");
  writeFileSync(at("elsewhere/c/config.json"), "{}");
  symlinkSync(at("elsewhere/c"), at("models/linked"));
  symlinkSync(at("nowhere"), at("models/dangling"));
});
afterAll(() => rmSync(root, { recursive: true }));

describe("modelFolders", () => {
  it("are the folders in a folder by name, links among them, but not what is hidden", async () => {
    assert.deepEqual(await modelFolders(at("models")), [at("models/a"), at("models/b"), at("models/linked")]);
  });

  it("is the folder itself where that is a model", async () => {
    assert.deepEqual(await modelFolders(at("elsewhere/c")), [at("elsewhere/c")]);
  });

  it("fails for a folder that is not there", async () => {
    assert.include((await errorOf(modelFolders(at("nowhere")))).message, "ENOENT");
  });
});

it("knows folders and files, through links", async () => {
  assert.isTrue(await isFolder(at("models/linked")));
  assert.isFalse(await isFolder(at("models/notes.txt")));
  assert.isFalse(await isFolder(at("models/dangling")));
  assert.isTrue(await exists(at("models/notes.txt")));
  assert.isFalse(await exists(at("models/dangling")));
});

describe("isInside", () => {
  it.each<[string, string, boolean]>([
    ["the folder itself", "models", true],
    ["what is in it", "models/a/config.json", true],
    ["a path that leads out and back", "models/../models/a", true],
    ["a path that leads out", "models/../elsewhere", false],
    ["a neighbour whose name begins alike", "models-2", false],
    ["a name that begins with two dots", "models/..a", true],
    ["what a link leads to, by the link's path", "models/linked", true],
    ["what a link leads to, by its own path", "elsewhere/c", false],
  ])("tells of %s", async (_, path, expected) => {
    assert.equal(await isInside(at("models"), at(path)), expected);
  });

  it("takes a folder by its link for the same", async () => {
    assert.isTrue(await isInside(at("models/linked"), at("elsewhere/c/config.json")));
  });
});
