import { cpSync, mkdirSync, mkdtempSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest";

import { adapterBytes, readAdapters } from "../../../../src/service/models/files/adapters.ts";
import { footprintOf } from "../../../../src/service/models/memory/footprint.ts";
import { facts } from "../../../support/tasks.ts";

const fixture = fileURLToPath(new URL("../../../fixtures/adapters/llama/adapters", import.meta.url));

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-adapters-"));
  cpSync(fixture, join(folder, "model/adapters"), { recursive: true });
  for (const name of ["cut", "bare"]) cpSync(join(fixture, "wide"), join(folder, name), { recursive: true });
  truncateSync(join(folder, "cut/adapters.safetensors"), 50);
  rmSync(join(folder, "bare/adapter_config.json"));
  mkdirSync(join(folder, "model/adapters/not a name"));
  writeFileSync(join(folder, "model/adapters/README.md"), "");
});
afterAll(() => rmSync(folder, { recursive: true }));

const read = (...ids: ReadonlyArray<string>) =>
  readAdapters(
    join(folder, "model"),
    ids.map((id) => ({ id, directory: join(folder, id === "wide" ? "cut" : id) })),
  );

describe("a model's adapters", () => {
  it("are those of the configuration in its order, then those in its own folder, where no other has their id", async () => {
    const adapters = await read("wide", "bare");
    assert.deepStrictEqual(
      adapters.map(({ id, problem }) => [id, problem]),
      [
        ["wide", "adapters.safetensors is truncated or not a safetensors file"],
        ["bare", "adapter_config.json is missing"],
        ["narrow", undefined],
      ],
    );
    assert.deepStrictEqual(await readAdapters(join(folder, "nowhere"), []), []);
  });

  it("have a revision that changes with their files", async () => {
    const revisions = async () => (await read()).map(({ revision }) => revision);
    const before = await revisions();
    assert.match(before.join(" "), /^[0-9a-f]{12} [0-9a-f]{12}$/);
    assert.deepStrictEqual(await revisions(), before);
    utimesSync(join(folder, "model/adapters/wide/adapters.safetensors"), new Date(), new Date(1));
    const [narrow, wide] = await revisions();
    assert.strictEqual(narrow, before[0]);
    assert.notStrictEqual(wide, before[1]);
  });

  it("take room for as many of the largest as may be loaded, and none where there is none", async () => {
    const adapters = await read();
    // Rank 4: three blocks' o_proj and down_proj, and lm_head; B counts three times.
    const numbers = 3 * (32 * 4 + 3 * 4 * 32 + 64 * 4 + 3 * 4 * 32) + 32 * 4 + 3 * 4 * 288;
    assert.strictEqual(adapterBytes(adapters, 2), 3 * 4 * numbers);
    const caches = { kvCacheBytes: 1, prefixCacheBytes: 2, maxAdapters: 2, maxRunning: 4 };
    const without = footprintOf(facts(), undefined, caches);
    const having = footprintOf(facts({ adapters }), undefined, caches);
    assert.strictEqual(without.adapterBytes, 0);
    assert.strictEqual(having.neededBytes - without.neededBytes, 3 * 4 * numbers);
  });
});
