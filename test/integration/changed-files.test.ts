/**
 * A model's weights that are replaced under a running service, by others of the same shapes and sizes: whatever answers
 * says which ones it has, and no answer comes of new weights under the old ones' revision.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";

import { createMlxdClient, isMlxdError, type MlxdClient } from "../../src/client/node.ts";
import { type RunningService, startService } from "../support/running-service.ts";

const demo = fileURLToPath(new URL("../../models/demo", import.meta.url));

let folder = "";
let service: RunningService;
let client: MlxdClient;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-changed-files-"));
  cpSync(demo, join(folder, "demo"), { recursive: true });
  service = await startService({ MLXD_MODELS: folder, MLXD_PRELOAD: "none" });
  client = createMlxdClient({ baseUrl: service.url, retry: false });
});
afterEach(async () => {
  client.close();
  await service.stop();
  rmSync(folder, { recursive: true, force: true });
});

const weights = () => join(folder, "demo", "model.safetensors");

/** Every weight half as large, in the same file or in another under its name. */
const halve = (): void => {
  const bytes = readFileSync(weights());
  const start = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.subarray(8, start).toString()) as Record<string, { readonly dtype: string }>;
  const isHalf = Object.values(header).some(({ dtype }) => dtype === "F16");
  assert.isTrue(isHalf || Object.values(header).some(({ dtype }) => dtype === "BF16"), "16 bits a weight");
  // The exponent's lowest bit, of numbers that are not very small.
  const one = isHalf ? 0x0400 : 0x0080;
  for (let at = start; at + 1 < bytes.length; at += 2) {
    const value = bytes.readUInt16LE(at);
    if ((value & 0x7fff) >= 2 * one) bytes.writeUInt16LE(value - one, at);
  }
  writeFileSync(weights(), bytes);
};

const ask = async () => {
  const { text, model, modelRevision } = await client.generate("1 2 3", { temperature: 0, maxOutputTokens: 20 });
  assert.strictEqual(model, "demo");
  return { text, revision: modelRevision };
};
const revision = async (): Promise<string> => (await client.getModel("demo")).revision;

describe("weights that are replaced", { timeout: 120_000 }, () => {
  it("before their first use are what answers, under their own revision", async () => {
    const before = await revision();
    const listed = (await client.listModels())[0]?.revision;
    assert.strictEqual(listed, before);
    halve();
    const { revision: answered } = await ask();
    assert.notStrictEqual(answered, before);
    assert.strictEqual(await revision(), answered);
    assert.strictEqual((await ask()).revision, answered);
  });

  it("under an engine that is lost afterwards do not answer in the old ones' name", async () => {
    const old = await ask();
    halve();
    assert.deepEqual(await ask(), old, "what is in memory is what it was");
    for (const pid of service.workers()) process.kill(pid, "SIGKILL");
    const now = await ask();
    assert.notStrictEqual(now.revision, old.revision);
    assert.notStrictEqual(now.text, old.text);
    assert.strictEqual(await revision(), now.revision);
    const pinned = client.generate("1 2 3", { modelRevision: old.revision });
    assert(isMlxdError(await pinned.catch((cause: unknown) => cause), "MODEL_REVISION_MISMATCH"));
  });

  it("are noticed by a reload and by a load", async () => {
    const old = await ask();
    halve();
    assert.deepEqual((await client.reloadCatalog()).changed, ["demo"]);
    const now = await ask();
    assert.notStrictEqual(now.revision, old.revision);
    await client.unloadModel("demo");
    halve();
    const { revision: loaded, report } = await client.loadModel("demo");
    assert.notInclude([old.revision, now.revision], loaded);
    assert.strictEqual(report?.model?.revision, loaded);
    cpSync(join(demo, "model.safetensors"), weights());
    assert.deepEqual((await client.reloadCatalog()).changed, ["demo"]);
    assert.deepEqual(await ask(), old, "the old weights have the old revision");
  });
});
