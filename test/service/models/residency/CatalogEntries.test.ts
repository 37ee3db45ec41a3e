import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";
import { Effect } from "effect";

import { backendDrivers } from "../../../../src/service/engine/backends/backend-drivers.ts";
import { type EntryChange, Models } from "../../../../src/service/models/Models.ts";
import { CatalogEntries } from "../../../../src/service/models/residency/CatalogEntries.ts";
import type { ModelSet } from "../../../../src/service/models/residency/ModelSet.ts";
import { ModelsConfig } from "../../../../src/service/config/ModelsConfig.ts";
import { writeCheckpoint } from "../../../fixtures/checkpoint.ts";
import { configuredPool } from "../../../support/configured-pool.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-entries-"));
  mkdirSync(join(folder, "models"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const path = () => join(folder, "mlxd.yaml");
const say = (text: string) => writeFileSync(path(), `# ours\nservice: { models: ./models }\n${text}`);
const environment = { MLXD_CATALOG_KEYS: "NO_SUCH@attic" };

const withModels = <A, E>(text: string, test: (models: Models["Service"]) => Effect.Effect<A, E>) => {
  say(text);
  return Effect.flatMap(Models, test).pipe(
    Effect.provide(configuredPool(folder, [], {}, backendDrivers(), environment)),
  );
};

const backend = (name: string, declaration: object = { engine: "ollama" }): EntryChange => ({
  how: "create",
  kind: "backend",
  name,
  declaration: { ...declaration },
  writesBack: false,
});
const model = (name: string, declaration: object = { backend: "attic", context_length: 64 }): EntryChange => ({
  ...backend(name, declaration),
  kind: "model",
});
const gone = ({ kind, name }: EntryChange): EntryChange => ({
  how: "delete",
  kind,
  name,
  declaration: undefined,
  writesBack: false,
});

const ids = (models: Models["Service"]) => Effect.map(models.list, (all) => all.map(({ facts }) => facts.id));

describe("entries of the catalog", () => {
  it.effect("come, change and go while the service runs, and stay when the file is read again", () =>
    withModels("models: { of-file: { engine: ollama, context_length: 64 } }", (models) =>
      Effect.gen(function* () {
        const nothing = { added: [], removed: [], changed: [] };
        assert.deepStrictEqual(yield* models.changeEntry(backend(" Attic ")), nothing);
        assert.deepStrictEqual(yield* models.changeEntry(model("m")), { ...nothing, added: ["m"] });
        assert.deepStrictEqual(yield* models.reload, nothing);
        assert.deepStrictEqual(yield* ids(models), ["of-file", "m"]);
        const update = {
          ...model("m", { backend: "ATTIC", context_length: 32, aliases: ["x"] }),
          how: "update",
        } as const;
        assert.deepStrictEqual(yield* models.changeEntry(update), { ...nothing, changed: ["m"] });
        assert.deepInclude((yield* models.get("x")).facts, { id: "m", contextLength: 32 });
        // One of the file is removed until the service ends.
        assert.deepStrictEqual(yield* models.changeEntry(gone(model("of-file"))), { ...nothing, removed: ["of-file"] });
        assert.deepStrictEqual(yield* models.reload, nothing);
        assert.deepStrictEqual(yield* models.changeEntry(gone(model("m"))), { ...nothing, removed: ["m"] });
        assert.deepStrictEqual(yield* models.changeEntry(gone(backend("attic"))), nothing);
        assert.notInclude(readFileSync(path(), "utf8"), "attic");
      }),
    ),
  );

  it.effect("are refused where their name is taken, or is none", () =>
    withModels("models: { of-file: { engine: ollama, context_length: 64, aliases: [other] } }", (models) =>
      Effect.gen(function* () {
        yield* models.changeEntry(backend("attic"));
        const refusals = [
          [backend("ATTIC"), { _tag: "EntryExists", kind: "backend", name: "attic" }],
          [model("of-file"), { _tag: "EntryExists", kind: "model", name: "of-file" }],
          [model("other"), { _tag: "EntryExists", kind: "model", name: "of-file" }],
          [
            { ...backend("attik"), how: "update" },
            { _tag: "EntryNotFound", name: "attik", nearest: ["attic"] },
          ],
          [
            { ...model("m"), how: "update" },
            { _tag: "EntryNotFound", name: "m" },
          ],
          [gone(model("other")), { _tag: "EntryNotFound", name: "other" }],
          // What an engine has without an entry.
          [gone(backend("ollama")), { _tag: "EntryNotFound", name: "ollama" }],
        ] as const;
        for (const [change, error] of refusals) {
          assert.deepInclude(yield* Effect.flip(models.changeEntry(change)), error, JSON.stringify(change));
        }
        assert.deepStrictEqual(yield* ids(models), ["of-file"]);
      }),
    ),
  );

  it.effect("are validated as the file's, and nothing changes where one is invalid", () =>
    withModels("", (models) =>
      Effect.gen(function* () {
        yield* models.changeEntry(backend("attic"));
        yield* models.changeEntry(model("m"));
        for (const [change, message] of [
          [model("n", { backend: "attic" }), /^model\.context_length: is missing/],
          [
            model("n", { backend: "cellar", context_length: 1 }),
            /^model\.backend: there is no backend "cellar"; there are .*attic/,
          ],
          [model("n", { backend: "attic", context_length: 1, ttl: "soon" }), /^model\.ttl: a time is a whole number/],
          [model("n", { backend: "attic", context_length: 1, aliases: ["m"] }), /^model\.aliases\[0\]: /],
          [model("no blanks", { backend: "attic", context_length: 1 }), /^name: an id begins with/],
          [backend("b", { engine: "olama" }), /^backend\.engine: "olama" is no engine of backends/],
          [backend("b", { engine: "ollama", base_url: "http://u:p@h/v1" }), /^backend\.base_url: holds credentials/],
          [
            backend("b", { engine: "ollama", base_url: "http://attic", api_key_variable: "NO_SUCH" }),
            /^backend\.api_key_variable: this variable is not set/,
          ],
          [
            backend("b", { engine: "ollama", base_url: "http://evil", api_key_variable: "NO_SUCH" }),
            /^backend\.api_key_variable: this key is not sent there: .*MLXD_CATALOG_KEYS=VARIABLE@evil/,
          ],
          [backend("b!", { engine: "ollama" }), /^name: a backend's name begins/],
        ] as const) {
          const error = yield* Effect.flip(models.changeEntry(change));
          assert.strictEqual(error._tag, "InvalidField", error.message);
          assert.match(error.message, message);
        }
        const used = yield* Effect.flip(models.changeEntry(gone(backend("attic"))));
        assert.deepInclude(used, { _tag: "ConfigurationInvalid", key: "models.m.backend" });
        assert.deepStrictEqual(yield* models.reload, { added: [], removed: [], changed: [] });
        assert.deepStrictEqual(yield* ids(models), ["m"]);
      }),
    ),
  );

  it.effect("are written to the file on request, and are the file's then", () =>
    withModels("", (models) =>
      Effect.gen(function* () {
        yield* models.changeEntry({ ...backend("attic"), writesBack: true });
        yield* models.changeEntry({ ...model("m"), writesBack: true });
        const text = readFileSync(path(), "utf8");
        assert.match(
          text,
          /^# ours\nservice: \{ models: \.\/models \}\nbackends:\n {2}attic:\n {4}engine: ollama\nmodels:\n {2}m:\n/,
        );
        say("");
        assert.deepStrictEqual(yield* models.reload, { added: [], removed: ["m"], changed: [] });
        writeFileSync(path(), text);
        yield* models.reload;
        yield* models.changeEntry({ ...gone(model("m")), writesBack: true });
        assert.notMatch(readFileSync(path(), "utf8"), / m:/);
        assert.deepStrictEqual(yield* models.reload, { added: [], removed: [], changed: [] });
      }),
    ),
  );

  it.effect("are not kept where the file cannot be written", () =>
    withModels("", (models) =>
      Effect.gen(function* () {
        // Merging into the file's text fails, though the file can be read.
        writeFileSync(path(), "service: { models: ./models }\nfamilies: &none {}\nbackends: *none\n");
        const error = yield* Effect.flip(models.changeEntry({ ...backend("attic"), writesBack: true }));
        assert.deepInclude(error, { _tag: "ConfigurationInvalid", key: "backends.attic" });
        assert.deepInclude(yield* Effect.flip(models.changeEntry(gone(backend("attic")))), { _tag: "EntryNotFound" });
      }),
    ),
  );

  it.effect("leave a loaded model alone where the file cannot be written", () => {
    const log: string[] = [];
    writeCheckpoint(join(folder, "models/deep/demo"));
    say("models: { m: { path: models/deep/demo } }");
    return Effect.gen(function* () {
      const models = yield* Models;
      yield* models.load("m", { pinned: undefined, idleTtlMs: undefined });
      // Its new text cannot be written beside it.
      mkdirSync(`${path()}.${process.pid}.new`);
      const error = yield* Effect.flip(models.changeEntry({ ...gone(model("m")), writesBack: true }));
      assert.deepInclude(error, { _tag: "ConfigurationInvalid", key: "models.m" });
      assert.strictEqual((yield* models.get("m")).state, "active");
      assert.deepStrictEqual(log, ["start m"]);
    }).pipe(Effect.provide(configuredPool(folder, log, {}, backendDrivers())));
  });

  it.effect("are written to a file that was created since the service started", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      const written = { ...backend("attic"), writesBack: true };
      const error = yield* Effect.flip(models.changeEntry(written));
      assert.include(error.message, "there is no configuration file to write it to: create an empty one");
      writeFileSync(path(), "");
      yield* models.changeEntry(written);
      assert.include(readFileSync(path(), "utf8"), "attic");
    }).pipe(
      Effect.provide(
        configuredPool(folder, [], {}, backendDrivers(), {
          MLXD_MODELS: join(folder, "models"),
          MLXD_CATALOG_KEYS: "NO_SUCH@attic",
        }),
      ),
    ),
  );

  it.effect("leave nothing behind when they are deleted, so that the file may have one of the name later", () =>
    withModels("", (models) =>
      Effect.gen(function* () {
        yield* models.changeEntry(model("m", { engine: "ollama", context_length: 64 }));
        yield* models.changeEntry(gone(model("m")));
        say("models: { m: { engine: ollama, context_length: 64 } }");
        assert.deepStrictEqual((yield* models.reload).added, ["m"]);
      }),
    ),
  );

  it.effect("are bounded, apart from those of the file", () => {
    const nothing = { added: [], removed: [], changed: [] };
    const settings = { directory: "", defaultModel: "" };
    const config = ModelsConfig.of({
      ...settings,
      entries: {
        read: (registered) => {
          const declared = Object.fromEntries(registered.map(({ name, declaration = {} }) => [name, declaration]));
          return Effect.succeed({ ...settings, declared: { backend: {}, model: declared } });
        },
        write: () => Effect.void,
        tryWrite: () => Effect.void,
      },
    });
    const models = { known: [], reload: () => Effect.succeed(nothing) } as unknown as ModelSet;
    return Effect.gen(function* () {
      const { change } = new CatalogEntries(config, models);
      for (let index = 0; index < 1_000; index++) yield* change(model(`m${index}`));
      const error = yield* Effect.flip(change(model("more")));
      assert.strictEqual(error._tag, "InvalidField");
      assert.include(error.message, "name: 1000 entries are registered, which is the most");
      yield* change({ ...model("written"), writesBack: true });
      yield* change({ ...model("m0"), how: "update" });
      yield* change(gone(model("m0")));
      yield* change(model("more"));
    });
  });

  it.effect("that start programs or read files are changed in the file alone", () =>
    withModels("backends: { lm: { engine: mlx_lm_server, managed: true } }", (models) =>
      Effect.gen(function* () {
        const update = { ...backend("lm", { engine: "mlx_lm_server" }), how: "update" } as const;
        const error = yield* Effect.flip(models.changeEntry(update));
        assert.include(error.message, "name: the entry in the file has managed, which only the file can have");
        yield* models.changeEntry(gone(update));
      }),
    ),
  );
});
