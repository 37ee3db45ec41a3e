import {
  cpSync,
  mkdtempSync,
  openSync,
  closeSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";

import { writeOrigin } from "../../../src/service/checkpoint/origin-file.ts";
import { readRevision, readStamp } from "../../../src/service/checkpoint/revision.ts";
import { writeCheckpoint } from "../../fixtures/checkpoint.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-revision-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const weights = "model.safetensors";
const longAgo = new Date("2020-01-02T03:04:05Z");
const mebibyte = 1024 ** 2;

/** A model in a folder of its own, changed long ago. @param bytes of its weights, with a hole behind the tensors */
const write = (name: string, bytes?: number): string => {
  const directory = writeCheckpoint(join(folder, name));
  if (bytes !== undefined) truncateSync(join(directory, weights), bytes);
  utimesSync(join(directory, weights), longAgo, longAgo);
  return directory;
};

/** Changes a byte in place, and the time of change only if that is wanted. */
const poke = (directory: string, at: number, isSeen: boolean): void => {
  const path = join(directory, weights);
  const { atime, mtime } = statSync(path);
  const file = openSync(path, "r+");
  writeSync(file, Buffer.of(7), 0, 1, at);
  closeSync(file);
  if (!isSeen) utimesSync(path, atime, mtime);
};

describe("the revision of a model", () => {
  it("of small weights is that of their bytes, whenever they were written", async () => {
    const directory = write("a");
    const before = await readRevision(directory);
    assert.match(before, /^[0-9a-f]{12}$/);
    cpSync(directory, join(folder, "b"), { recursive: true });
    assert.strictEqual(await readRevision(join(folder, "b")), before);
    const { size } = statSync(join(directory, weights));
    for (const at of [size - 1, Math.floor(size / 2)]) {
      const changed = write("c");
      poke(changed, at, false);
      assert.notStrictEqual(await readRevision(changed), before, `byte ${at}`);
    }
  });

  it("of large weights changes with their size, their time of change and what is sampled of them", async () => {
    const before = await readRevision(write("a", 200 * mebibyte));
    assert.strictEqual(await readRevision(write("b", 200 * mebibyte)), before);
    assert.notStrictEqual(await readRevision(write("longer", 200 * mebibyte + 1)), before);
    const seen = write("seen", 200 * mebibyte);
    poke(seen, 77 * mebibyte + 5, true);
    assert.notStrictEqual(await readRevision(seen), before, "by its time of change");
    const twentieth = Math.floor(20 * ((200 * mebibyte - 4096) / 63));
    for (const at of [200 * mebibyte - 1, 100, twentieth, twentieth + 4095]) {
      const sampled = write(`sampled ${at}`, 200 * mebibyte);
      poke(sampled, at, false);
      assert.notStrictEqual(await readRevision(sampled), before, `byte ${at}`);
    }
  });

  it("of a large download is the same on every machine, until it is touched", async () => {
    const commit = "0123456789abcdef0123456789abcdef01234567";
    const directory = write("a", 64 * mebibyte);
    const own = await readRevision(directory);
    await writeOrigin(directory, { repository: "org/a", commit });
    const before = await readRevision(directory);
    assert.notStrictEqual(before, own);
    const elsewhere = write("b", 64 * mebibyte);
    utimesSync(join(elsewhere, weights), new Date("2021-01-01"), new Date("2021-01-01"));
    await writeOrigin(elsewhere, { repository: "org/a", commit });
    assert.strictEqual(await readRevision(elsewhere), before);
    await writeOrigin(elsewhere, { repository: "org/a", commit: commit.replace("0", "f") });
    assert.notStrictEqual(await readRevision(elsewhere), before, "another commit");
    const later = new Date(Date.now() + 60_000);
    utimesSync(join(directory, weights), later, later);
    assert.notStrictEqual(await readRevision(directory), before, "touched since");
  });

  it.each([
    ["tokenizer_config.json", {}],
    ["generation_config.json", { temperature: 1 }],
    ["chat_template.jinja", "{{ 1 }}"],
    ["modules.json", "[]"],
    ["tokenizer.json", undefined],
  ])("changes with %s", async (file, content) => {
    const before = await readRevision(write("a"));
    assert.notStrictEqual(await readRevision(writeCheckpoint(join(folder, "b"), { [file]: content })), before);
  });
});

describe("the stamp of a folder", () => {
  it("changes with each of its files, and tells of files that are not there", async () => {
    const directory = write("a");
    const before = await readStamp(directory);
    assert.strictEqual(await readStamp(directory), before);
    poke(directory, 500, false);
    const poked = await readStamp(directory);
    assert.notStrictEqual(poked, before);
    rmSync(join(directory, "config.json"));
    assert.notStrictEqual(await readStamp(directory), poked);
  });
});
