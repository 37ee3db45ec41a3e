/** Models that the hub's other clients have fetched to this machine: nothing of them is fetched once more. */
import {
  existsSync,
  mkdirSync,
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
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";
import { Effect, Layer } from "effect";

import { DownloadConfig, type DownloadSettings } from "../../../../src/service/config/DownloadConfig.ts";
import { ModelsConfig } from "../../../../src/service/config/ModelsConfig.ts";
import { folderEntries } from "../../../support/folder-entries.ts";
import { type DownloadProgress, Downloads } from "../../../../src/service/models/download/Downloads.ts";
import { layerWith } from "../../../../src/service/models/download/download-models.ts";
import { Metrics } from "../../../../src/service/telemetry/metrics/Metrics.ts";
import { writeCheckpoint } from "../../../fixtures/checkpoint.ts";
import { capturedLog } from "../../../support/captured-log.ts";
import { goldenRepository } from "../../../support/golden-repository.ts";
import { writeHubCache } from "../../../support/hub-cache.ts";
import { hubCommit, type HubServer, startHubServer } from "../../../support/hub-server.ts";

const golden = goldenRepository("gemma3-float16");
const sharded = goldenRepository("gpt_oss-mixed");
const weights = "model.safetensors";
const goldenFiles = ["config.json", weights, "tokenizer.json", "tokenizer_config.json"];
const older = "f".repeat(40);

let folder = "";
let models = "";
let cache = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-hub-cache-"));
  [models, cache] = [join(folder, "models"), join(folder, "cache")];
  mkdirSync(models);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const hub = Effect.acquireRelease(
  Effect.promise(() => startHubServer({ repositories: { "org/gemma": golden, "org/oss": sharded } })),
  (server) => Effect.promise(() => server[Symbol.asyncDispose]()),
);

const fetch = (
  { url }: Pick<HubServer, "url">,
  repository: string,
  revision = "",
  settings: Partial<DownloadSettings> = { offline: true },
  onProgress: (progress: DownloadProgress) => void = () => {},
) =>
  Effect.gen(function* () {
    const service = yield* Downloads;
    const model = yield* service.resolve(repository, revision);
    yield* service.download(model, onProgress);
    return model;
  }).pipe(
    Effect.provide(
      layerWith({ backoffMs: 1, maxAttempts: 2 }).pipe(
        Layer.provide(Metrics.layer),
        Layer.provide([
          Layer.succeed(DownloadConfig, {
            endpoint: url,
            token: undefined,
            offline: false,
            concurrency: 4,
            cacheDirectory: cache,
            ...settings,
          }),
          Layer.succeed(ModelsConfig, { directory: models, defaultModel: "" }),
        ]),
        Layer.merge(capturedLog([])),
      ),
      { local: true },
    ),
  );
/** Of a service that may ask nobody. */
const offline = (repository: string, revision = "") => fetch({ url: "http://127.0.0.1:1" }, repository, revision);

const assertGolden = (): void => {
  assert.deepEqual(readdirSync(join(models, "org--gemma")).toSorted(), [".mlxd-origin.json", ...goldenFiles]);
  for (const file of goldenFiles) {
    assert.isTrue(readFileSync(join(models, "org--gemma", file)).equals(Buffer.from(golden[file] ?? [])), file);
  }
};

describe("offline, a model of the hub's cache", () => {
  it.live("is taken into the model folder by any of its revisions, and is served", () =>
    Effect.gen(function* () {
      writeHubCache(cache, "org/gemma", golden);
      for (const revision of ["", "main", hubCommit]) {
        rmSync(join(models, "org--gemma"), { recursive: true, force: true });
        const seen: DownloadProgress[] = [];
        const model = yield* fetch(
          { url: "http://127.0.0.1:1" },
          "org/gemma",
          revision,
          { offline: true },
          (progress) => seen.push(progress),
        );
        assert.deepInclude(model, { id: "org--gemma", commit: hubCommit, isCached: true, isPresent: false });
        assertGolden();
        assert.deepInclude(seen.at(-1), { filesDone: 4, filesTotal: 4 });
      }
      const catalog = yield* Effect.promise(() => folderEntries({ directory: models }));
      assert.deepEqual(
        catalog.map(({ facts, problem }) => [facts.source, problem]),
        [["org/gemma", undefined]],
      );
      assert.isTrue((yield* offline("org/gemma")).isPresent, "it is here from now on");
    }),
  );

  it.live("takes no second place on the disk, and the cache keeps its own", () =>
    Effect.gen(function* () {
      writeHubCache(cache, "org/gemma", golden);
      yield* offline("org/gemma");
      const inCache = join(cache, "models--org--gemma", "snapshots", hubCommit, weights);
      assert.strictEqual(statSync(join(models, "org--gemma", weights)).ino, statSync(inCache).ino);
      rmSync(join(models, "org--gemma"), { recursive: true });
      assert.isTrue(readFileSync(inCache).equals(Buffer.from(golden[weights] ?? [])));
    }),
  );

  it.live("is also one whose cache was copied without its links", () =>
    Effect.gen(function* () {
      writeHubCache(cache, "org/gemma", golden, { isPlain: true });
      yield* offline("org/gemma");
      assertGolden();
    }),
  );

  it.live("is the commit that was asked for", () =>
    Effect.gen(function* () {
      writeHubCache(cache, "org/gemma", golden, { commit: older, branch: "v1" });
      writeHubCache(cache, "org/gemma", golden);
      assert.strictEqual((yield* offline("org/gemma", "v1")).commit, older);
      const other = yield* Effect.flip(offline("org/gemma", "main"));
      assert.deepInclude(other, { _tag: "ModelRevisionMismatch", asked: hubCommit, loaded: older });
      assert.strictEqual((yield* Effect.flip(offline("org/gemma", "v2")))._tag, "DownloadsOff");
    }),
  );

  it.live("that is not there is refused", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(offline("org/gemma"));
      assert.match(
        error.message,
        /"org\/gemma" is not on this machine.*MLXD_OFFLINE is set, and the hub's cache does not/,
      );
      writeCheckpoint(models);
      writeHubCache(cache, "org/gemma", golden);
      assert.match((yield* Effect.flip(offline("org/gemma"))).message, /one model's own folder/);
    }),
  );

  it.live("that is there in part is refused by what is missing, and leaves nothing", () =>
    Effect.gen(function* () {
      const { "tokenizer.json": _, ...without } = golden;
      writeHubCache(cache, "org/gemma", without);
      assert.match((yield* Effect.flip(offline("org/gemma"))).message, /hub's cache has.*no tokenizer\.json/);
      const shard = "model-00002-of-00002.safetensors";
      const { [shard]: __, ...withoutShard } = sharded;
      writeHubCache(cache, "org/oss", withoutShard);
      assert.match((yield* Effect.flip(offline("org/oss"))).message, new RegExp(`cache does not have ${shard}`));
      assert.deepEqual(readdirSync(models), []);
    }),
  );

  it.live("whose content is not what its hash says is refused by the file's name", () =>
    Effect.gen(function* () {
      writeHubCache(cache, "org/gemma", golden);
      const path = join(cache, "models--org--gemma", "snapshots", hubCommit, "tokenizer.json");
      const content = readFileSync(path);
      writeFileSync(
        path,
        content.map((byte) => byte ^ 1),
      );
      const error = yield* Effect.flip(offline("org/gemma"));
      assert.deepInclude(error, { _tag: "ChecksumMismatch", file: "tokenizer.json", attempts: 1 });
      assert.isFalse(existsSync(join(models, "org--gemma")));
      // What was taken before is kept for the next attempt.
      writeFileSync(path, content);
      yield* offline("org/gemma");
      assertGolden();
    }),
  );

  it.live("that leads out of its folder is left alone", () =>
    Effect.gen(function* () {
      const { "config.json": config = Buffer.alloc(0), ...rest } = golden;
      writeHubCache(cache, "org/gemma", rest);
      writeFileSync(join(folder, "elsewhere.json"), config);
      symlinkSync(
        join(folder, "elsewhere.json"),
        join(cache, "models--org--gemma", "snapshots", hubCommit, "config.json"),
      );
      assert.match((yield* Effect.flip(offline("org/gemma"))).message, /no config\.json/);
    }),
  );
});

describe("what the hub's cache has of a download", () => {
  const contents = ({ requests }: HubServer) =>
    requests.filter(({ server, path }) => server === "cdn" || path.includes("/resolve/"));

  it.live("is not fetched: neither all nor a part of it", () =>
    Effect.gen(function* () {
      const server = yield* hub;
      writeHubCache(cache, "org/gemma", { [weights]: golden[weights] ?? Buffer.alloc(0) }, { commit: older });
      yield* fetch(server, "org/gemma", "", {});
      assertGolden();
      assert.deepEqual(
        contents(server).filter(({ path }) => path.includes(weights)),
        [],
      );
      assert.lengthOf(contents(server), 3);
    }),
  );

  it.live("is fetched all the same where it is not what the hub has", () =>
    Effect.gen(function* () {
      const server = yield* hub;
      const other = Buffer.from(golden[weights] ?? []).map((byte) => byte ^ 1);
      writeHubCache(cache, "org/gemma", { ...golden, [weights]: other }, { isPlain: true });
      yield* fetch(server, "org/gemma", "", {});
      assertGolden();
      assert.lengthOf(
        contents(server).filter(({ server: from }) => from === "cdn"),
        1,
      );
    }),
  );

  it.live("stays as it is where a download was cut before", () =>
    Effect.gen(function* () {
      const server = yield* hub;
      const staging = join(models, ".mlxd", "downloads", `org--gemma@${hubCommit}`);
      mkdirSync(staging, { recursive: true });
      writeFileSync(join(staging, `${weights}.part`), "wrong");
      writeFileSync(join(staging, `${weights}.cached`), "left behind");
      writeHubCache(cache, "org/gemma", golden);
      yield* fetch(server, "org/gemma", "", {});
      const blob = join(cache, "models--org--gemma", "snapshots", hubCommit, weights);
      assert.isTrue(readFileSync(blob).equals(Buffer.from(golden[weights] ?? [])));
      assert.notInclude(readdirSync(join(models, "org--gemma")), `${weights}.cached`);
    }),
  );
});
