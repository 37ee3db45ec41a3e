/** A downloaded model's folder held a pipe, and whoever asked for the catalog waited for somebody to write into it. */
import { writeFileSync } from "node:fs";
import { assert, describe, it } from "vitest";

import { parseObject, readOptional } from "../../../src/service/checkpoint/checkpoint-files.ts";
import { folderEntries } from "../../support/folder-entries.ts";
import { readWeightsHeader } from "../../../src/service/checkpoint/safetensors.ts";
import { writeCheckpoint } from "../../fixtures/checkpoint.ts";
import { describeHeaderReader, describeReader, StrangeFiles } from "../../support/strange-files.ts";

describeReader(readOptional);
describeHeaderReader(readWeightsHeader);

describe("a Git LFS pointer", () => {
  const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";

  it("is told as such in the place of weights, and of JSON", async () => {
    using files = new StrangeFiles();
    writeFileSync(files.path("model.safetensors"), pointer);
    const weights = await files.refusal(() => readWeightsHeader(files.folder));
    assert.match(weights, /^model\.safetensors is a Git LFS pointer/);
    const json = await files.refusal(() => parseObject("tokenizer.json", Buffer.from(pointer)));
    assert.match(json, /^tokenizer\.json is a Git LFS pointer and not the file itself; `git lfs pull`/);
  });
});

describe("a model folder with such files", () => {
  it("is read to its end, with the broken models named", async () => {
    using files = new StrangeFiles();
    for (const file of ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"]) {
      writeCheckpoint(files.path(`pipe-${file}`), { [file]: undefined });
      files.pipe(`pipe-${file}/${file}`);
    }
    writeCheckpoint(files.path("well"));
    const entries = await folderEntries({ directory: files.folder });
    const usable = entries.filter(({ problem }) => problem === undefined).map(({ facts: { id } }) => id);
    assert.deepEqual(usable, ["well"]);
    for (const { problem } of entries) assert.match(problem ?? "", /^$|is no regular file$/);
  });
});
