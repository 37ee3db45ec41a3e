import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";
import { Deferred, Effect, Fiber, Layer, Redacted } from "effect";

import { DownloadConfig, type DownloadSettings } from "../../../../src/service/config/DownloadConfig.ts";
import { ModelsConfig } from "../../../../src/service/config/ModelsConfig.ts";
import { folderEntries } from "../../../support/folder-entries.ts";
import { type DownloadProgress, Downloads } from "../../../../src/service/models/download/Downloads.ts";
import { type DownloadsOptions, layerWith } from "../../../../src/service/models/download/download-models.ts";
import { Metrics } from "../../../../src/service/telemetry/metrics/Metrics.ts";
import { writeCheckpoint } from "../../../fixtures/checkpoint.ts";
import { capturedLog, type LogLine } from "../../../support/captured-log.ts";
import { goldenRepository } from "../../../support/golden-repository.ts";
import {
  type FileFault,
  hubCommit,
  type HubScript,
  type HubServer,
  startHubServer,
} from "../../../support/hub-server.ts";

const golden = goldenRepository("gemma3-float16");
const sharded = goldenRepository("gpt_oss-mixed");
const weights = "model.safetensors";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-downloads-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const hub = (script: Partial<HubScript> = {}) =>
  Effect.acquireRelease(
    Effect.promise(() => startHubServer({ repositories: { "org/gemma": golden, "org/oss": sharded }, ...script })),
    (server) => Effect.promise(() => server[Symbol.asyncDispose]()),
  );

const downloads = (
  { url }: Pick<HubServer, "url">,
  settings: Partial<DownloadSettings> = {},
  options: Partial<DownloadsOptions> = {},
  log: LogLine[] = [],
) =>
  layerWith({ backoffMs: 1, maxAttempts: 3, ...options }).pipe(
    Layer.provide(Metrics.layer),
    Layer.provide([
      Layer.succeed(DownloadConfig, {
        endpoint: url,
        token: undefined,
        offline: false,
        concurrency: 4,
        cacheDirectory: join(folder, ".cache"),
        ...settings,
      }),
      Layer.succeed(ModelsConfig, { directory: folder, defaultModel: "" }),
    ]),
    Layer.merge(capturedLog(log)),
  );

const fetch = (repository: string, revision = "", onProgress: (progress: DownloadProgress) => void = () => {}) =>
  Effect.gen(function* () {
    const service = yield* Downloads;
    const model = yield* service.resolve(repository, revision);
    yield* service.download(model, onProgress);
    return model;
  });

/** The files that a model's folder has to hold: no other is there, and each is byte for byte the hub's. */
const assertComplete = (id: string, repository: Record<string, Uint8Array>, files: ReadonlyArray<string>) => {
  assert.deepEqual(readdirSync(join(folder, id)).toSorted(), [".mlxd-origin.json", ...files].toSorted());
  for (const file of files) {
    assert.isTrue(readFileSync(join(folder, id, file)).equals(Buffer.from(repository[file] ?? [])), file);
  }
};

const goldenFiles = ["config.json", weights, "tokenizer.json", "tokenizer_config.json"];
const shardedFiles = [
  "config.json",
  "model-00001-of-00002.safetensors",
  "model-00002-of-00002.safetensors",
  "model.safetensors.index.json",
  "tokenizer.json",
  "tokenizer_config.json",
];

const modelsThere = Effect.promise(async () =>
  (await folderEntries({ directory: folder })).map(({ facts }) => facts.id),
);
/** What of the downloads is left outside of models. */
const leftovers = (): ReadonlyArray<string> => {
  const staging = join(folder, ".mlxd", "downloads");
  return existsSync(staging) ? readdirSync(staging) : [];
};
const contents = ({ requests }: HubServer) =>
  requests.filter(({ server, path }) => server === "cdn" || path.includes("/resolve/"));

describe("a download", () => {
  it.live("brings the files that make the model, and no others, to where the catalog finds it", () =>
    Effect.gen(function* () {
      const server = yield* hub();
      const seen: DownloadProgress[] = [];
      const models = yield* Effect.all([
        fetch("org/gemma", "", (progress) => seen.push(progress)),
        fetch("org/oss", hubCommit),
      ]).pipe(Effect.provide(downloads(server)));
      assert.deepEqual(
        models.map(({ id, commit }) => [id, commit]),
        [
          ["org--gemma", hubCommit],
          ["org--oss", hubCommit],
        ],
      );
      assertComplete("org--gemma", golden, goldenFiles);
      assertComplete("org--oss", sharded, shardedFiles);
      assert.deepEqual(leftovers(), []);
      const catalog = yield* Effect.promise(() => folderEntries({ directory: folder }));
      assert.deepEqual(
        catalog.map(({ facts, problem }) => [facts.source, facts.architecture, problem]),
        [
          ["org/gemma", "gemma3_text", undefined],
          ["org/oss", "gpt_oss", undefined],
        ],
      );
      const bytesTotal = goldenFiles.reduce((total, file) => total + (golden[file]?.length ?? 0), 0);
      assert.deepEqual(seen.at(-1), { bytesDone: bytesTotal, bytesTotal, filesDone: 4, filesTotal: 4 });
    }),
  );

  it.live("that is cut five times goes on each time and ends byte for byte the same", () =>
    Effect.gen(function* () {
      const fault = (path: string, count: number): FileFault | undefined =>
        path === weights && count < 5 ? { cutAfter: 20_000 } : undefined;
      const server = yield* hub({ fault });
      yield* fetch("org/gemma").pipe(Effect.provide(downloads(server, {}, { maxAttempts: 2 })));
      assertComplete("org--gemma", golden, goldenFiles);
      const ranges = contents(server).flatMap(({ server: from, range }) => (from === "cdn" ? [range] : []));
      assert.lengthOf(ranges, 6);
      const starts = ranges.map((range) => Number(/^bytes=(\d+)-$/.exec(range ?? "bytes=0-")?.[1]));
      assert.deepEqual(
        starts,
        starts.toSorted((a, b) => a - b),
        "each attempt begins where the one before was cut",
      );
      assert.isAbove(starts.at(-1) ?? 0, 50_000);
    }),
  );

  it.live("begins a file anew where the hub sends all of it instead of the rest", () =>
    Effect.gen(function* () {
      const fault = (path: string, count: number): FileFault | undefined =>
        path === weights ? { ignoreRange: true, ...(count === 0 && { cutAfter: 50_000 }) } : undefined;
      const server = yield* hub({ fault });
      yield* fetch("org/gemma").pipe(Effect.provide(downloads(server)));
      assertComplete("org--gemma", golden, goldenFiles);
    }),
  );

  it.live("fails where the hub begins anew each time and never comes to the end", () =>
    Effect.gen(function* () {
      const fault = (path: string, count: number): FileFault | undefined =>
        path === weights ? { ignoreRange: true, cutAfter: count % 2 === 0 ? 20_000 : 40_000 } : undefined;
      const server = yield* hub({ fault });
      const error = yield* Effect.flip(fetch("org/gemma").pipe(Effect.provide(downloads(server))));
      assert.strictEqual(error._tag, "DownloadFailed");
      assert.isBelow(contents(server).length, 20);
      assert.deepEqual(yield* modelsThere, []);
    }),
  );

  it.live("gives up a connection on which nothing comes, and goes on with another", () =>
    Effect.gen(function* () {
      const fault = (path: string, count: number): FileFault | undefined =>
        path === weights && count === 0 ? { cutAfter: 30_000, hang: true } : undefined;
      const server = yield* hub({ fault });
      yield* fetch("org/gemma").pipe(Effect.provide(downloads(server, {}, { stallMs: 2000 })));
      assertComplete("org--gemma", golden, goldenFiles);
    }),
  );

  it.live("fetches wrong bytes again, and fails by the file's name when they stay wrong", () =>
    Effect.gen(function* () {
      const once = yield* hub({ fault: (path, count) => (count === 0 ? { isWrong: true } : undefined) });
      yield* fetch("org/gemma").pipe(Effect.provide(downloads(once)));
      assertComplete("org--gemma", golden, goldenFiles);
      const always = yield* hub({
        fault: (path) => (path.endsWith("1-of-00002.safetensors") ? { isWrong: true } : undefined),
      });
      const error = yield* Effect.flip(fetch("org/oss").pipe(Effect.provide(downloads(always))));
      assert.deepInclude(error, { _tag: "ChecksumMismatch", file: "model-00001-of-00002.safetensors", attempts: 3 });
      assert.deepEqual(yield* modelsThere, ["org--gemma"]);
    }),
  );

  it.live("that is interrupted leaves nothing that counts as a model, and the next one goes on", () =>
    Effect.gen(function* () {
      const fault = (path: string, count: number): FileFault | undefined =>
        path === weights && count === 0 ? { cutAfter: 60_000, hang: true } : undefined;
      const server = yield* hub({ fault });
      yield* Effect.gen(function* () {
        const reached = yield* Deferred.make<void>();
        const fiber = yield* Effect.forkChild(
          fetch("org/gemma", "", ({ bytesDone }) => {
            if (bytesDone > 50_000) Deferred.doneUnsafe(reached, Effect.void);
          }),
        );
        yield* Deferred.await(reached);
        yield* Fiber.interrupt(fiber);
        assert.deepEqual(yield* modelsThere, []);
        assert.lengthOf(leftovers(), 1);
        const before = contents(server).length;
        yield* fetch("org/gemma");
        assertComplete("org--gemma", golden, goldenFiles);
        const after = contents(server).slice(before);
        assert.deepEqual(
          after.map(({ server: from, range }) => [from, range !== undefined]),
          [
            ["hub", true],
            ["cdn", true],
          ],
          "only the weights are asked for again, and only their rest",
        );
        assert.deepEqual(leftovers(), []);
      }).pipe(Effect.provide(downloads(server)));
    }),
  );

  it.live("is shared by those who want the same, until the last of them leaves", () =>
    Effect.gen(function* () {
      let isHeld = true;
      const fault = (path: string): FileFault | undefined =>
        path === weights && isHeld ? { cutAfter: 30_000, hang: true } : undefined;
      const server = yield* hub({ fault });
      yield* Effect.gen(function* () {
        const reached = yield* Deferred.make<void>();
        const notice = ({ bytesDone }: DownloadProgress) => {
          if (bytesDone > 30_000) Deferred.doneUnsafe(reached, Effect.void);
        };
        const first = yield* Effect.forkChild(fetch("org/gemma", "", notice));
        yield* Deferred.await(reached);
        const second = yield* Effect.forkChild(fetch("org/gemma", "main"));
        yield* Effect.sleep(50);
        yield* Fiber.interrupt(first);
        isHeld = false;
        yield* Fiber.join(second);
        assertComplete("org--gemma", golden, goldenFiles);
        assert.lengthOf(
          contents(server).filter(({ server: from }) => from === "cdn"),
          2,
          "the held request, and the one after its stall",
        );
      }).pipe(Effect.provide(downloads(server, {}, { stallMs: 300 })));
    }),
  );

  it.live("asks for no more files at once than it may", () =>
    Effect.gen(function* () {
      const many = Object.fromEntries(
        Array.from({ length: 12 }, (_, index) => [`model-${index}.safetensors`, Buffer.alloc(40_000, index)]),
      );
      const files = { ...golden, ...many };
      const server = yield* hub({ repositories: { "org/many": files }, fault: () => ({ delayMs: 30 }) });
      yield* fetch("org/many").pipe(Effect.provide(downloads(server, { concurrency: 2 })));
      assert.strictEqual(server.mostAtOnce(), 2);
      assertComplete("org--many", files, [...goldenFiles, ...Object.keys(many)]);
    }),
  );

  it.live("looks at the free space before it fetches anything, and counts what it has", () =>
    Effect.gen(function* () {
      const server = yield* hub({
        fault: (path, count) => (path === weights && count === 0 ? { cutAfter: 60_000 } : undefined),
      });
      const full = downloads(server, {}, { freeBytes: async () => 64 * 1024 ** 2 + 1000 });
      const error = yield* Effect.flip(fetch("org/gemma").pipe(Effect.provide(full)));
      const neededBytes = goldenFiles.reduce((total, file) => total + (golden[file]?.length ?? 0), 0);
      assert.deepInclude(error, { _tag: "InsufficientDisk", neededBytes, availableBytes: 1000 });
      assert.deepEqual(contents(server), []);
      const cut = downloads(server, {}, { maxAttempts: 1 });
      assert.strictEqual((yield* Effect.flip(fetch("org/gemma").pipe(Effect.provide(cut))))._tag, "DownloadFailed");
      const rest = yield* Effect.flip(fetch("org/gemma").pipe(Effect.provide(full)));
      assert.isBelow(rest._tag === "InsufficientDisk" ? rest.neededBytes : Infinity, 70_000);
      const enough = downloads(server, {}, { freeBytes: async () => 64 * 1024 ** 2 + 70_000 });
      yield* fetch("org/gemma").pipe(Effect.provide(enough));
      assertComplete("org--gemma", golden, goldenFiles);
    }),
  );
});

describe("the hub's answers", () => {
  const failing = (
    script: Partial<HubScript>,
    settings: Partial<DownloadSettings> = {},
    repository = "org/gemma",
    revision = "",
  ) =>
    Effect.gen(function* () {
      const server = yield* hub(script);
      const error = yield* Effect.flip(fetch(repository, revision).pipe(Effect.provide(downloads(server, settings))));
      return { error, server };
    });

  it.live("to a gated model say what to do", () =>
    Effect.gen(function* () {
      const refuse = () => ({ status: 401, headers: { "x-error-code": "GatedRepo" } });
      const { error, server } = yield* failing({ refuse });
      assert.strictEqual(error._tag, "ModelAccessDenied");
      assert.include(
        error.message,
        `accept its terms at ${server.url}/org/gemma and give the service a token (HF_TOKEN)`,
      );
      const forbidden = yield* failing({ refuse: () => ({ status: 403 }) }, { token: Redacted.make("hf_x") });
      assert.include(forbidden.error.message, "a token of an account that may read it");
    }),
  );

  it.live("that there is no such repository come with the nearest ones", () =>
    Effect.gen(function* () {
      const { error } = yield* failing({}, {}, "org/gema");
      assert.deepInclude(error, { _tag: "ModelNotFound", model: "org/gema" });
      assert.match(error.message, /did you mean org\/gemma\?/);
    }),
  );

  it.live("that there is no such revision name the field", () =>
    Effect.gen(function* () {
      const { error } = yield* failing({}, {}, "org/gemma", "v9");
      assert.strictEqual(error._tag, "InvalidField");
      assert.strictEqual(error.message, 'revision: "v9" is no branch, tag or commit of org/gemma');
    }),
  );

  it.live("to wait are kept to, up to a bound", () =>
    Effect.gen(function* () {
      let refused = 0;
      const server = yield* hub({
        refuse: () => (refused++ === 0 ? { status: 429, headers: { "retry-after": "1" } } : undefined),
      });
      const before = performance.now();
      yield* fetch("org/gemma").pipe(Effect.provide(downloads(server)));
      assert.isAtLeast(performance.now() - before, 1000);
      const { error, server: busy } = yield* failing(
        { refuse: () => ({ status: 429, headers: { "retry-after": "3600" } }) },
        {},
        "org/oss",
      );
      assert.deepInclude(error, { _tag: "DownloadFailed", retryAfterMs: 3_600_000 });
      assert.lengthOf(busy.requests, 1);
    }),
  );

  it.live("that it is in trouble are tried again, up to a bound", () =>
    Effect.gen(function* () {
      let refused = 0;
      const server = yield* hub({ refuse: () => (refused++ < 2 ? { status: 503 } : undefined) });
      yield* fetch("org/gemma").pipe(Effect.provide(downloads(server)));
      const { error, server: down } = yield* failing({ refuse: () => ({ status: 502 }) }, {}, "org/oss");
      assert.deepInclude(error, { _tag: "DownloadFailed", retryAfterMs: 30_000 });
      assert.match(error.message, /status 502/);
      assert.lengthOf(down.requests, 3);
    }),
  );

  it.live("that are no answers of a hub, and none at all, are told as such", () =>
    Effect.gen(function* () {
      const portal = yield* failing({ refuse: () => ({ status: 200, body: "<html>sign in</html>" }) });
      assert.match(portal.error.message, /what the hub answered cannot be read/);
      const nobody = downloads({ url: "http://127.0.0.1:1" });
      const error = yield* Effect.flip(fetch("org/gemma").pipe(Effect.provide(nobody)));
      assert.match(error.message, /the hub cannot be reached/);
    }),
  );

  it.live("that lack what a model needs are told", () =>
    Effect.gen(function* () {
      const { [weights]: _, "consolidated.safetensors": __, ...bare } = golden;
      const { error } = yield* failing({ repositories: { "org/gguf": bare } }, {}, "org/gguf");
      assert.strictEqual(
        error.message,
        'model "org/gguf" cannot be used: its repository has no weights as safetensors',
      );
    }),
  );
});

describe("the token", () => {
  it.live("goes to the hub alone, and is neither logged nor told", () =>
    Effect.gen(function* () {
      const token = "hf_verysecret";
      const server = yield* hub();
      const log: LogLine[] = [];
      const withToken = downloads(server, { token: Redacted.make(token) }, {}, log);
      yield* fetch("org/gemma").pipe(Effect.provide(withToken));
      for (const { server: where, authorization } of server.requests) {
        assert.strictEqual(authorization, where === "hub" ? `Bearer ${token}` : undefined);
      }
      assert.isTrue(server.requests.some(({ server: where }) => where === "cdn"));
      const refused = yield* hub({ refuse: () => ({ status: 403, body: token }) });
      const refusing = downloads(refused, { token: Redacted.make(token) }, {}, log);
      const error = yield* Effect.flip(fetch("org/oss").pipe(Effect.provide(refusing)));
      assert.isNotEmpty(log);
      assert.notInclude(JSON.stringify([log, error, error.message]), token);
    }),
  );
});

describe("what is here", () => {
  it.live("is not asked for again: neither without a revision nor at the commit that it has", () =>
    Effect.gen(function* () {
      const server = yield* hub();
      yield* fetch("org/gemma").pipe(Effect.provide(downloads(server)));
      const asked = server.requests.length;
      for (const revision of ["", hubCommit]) {
        const model = yield* fetch("org/gemma", revision).pipe(Effect.provide(downloads(server, { offline: true })));
        assert.deepInclude(model, { id: "org--gemma", commit: hubCommit, isPresent: true });
      }
      assert.lengthOf(server.requests, asked);
      const sameBranch = yield* fetch("org/gemma", "main").pipe(Effect.provide(downloads(server)));
      assert.isTrue(sameBranch.isPresent);
    }),
  );

  it.live("is never replaced by another revision", () =>
    Effect.gen(function* () {
      const server = yield* hub();
      writeCheckpoint(join(folder, "org--gemma"));
      const error = yield* Effect.flip(fetch("org/gemma", "main").pipe(Effect.provide(downloads(server))));
      assert.deepInclude(error, { _tag: "ModelRevisionMismatch", model: "org--gemma", asked: hubCommit });
    }),
  );

  it.live("is all that there is offline, and for a folder that is one model's own", () =>
    Effect.gen(function* () {
      const server = yield* hub();
      const offline = yield* Effect.flip(fetch("org/gemma").pipe(Effect.provide(downloads(server, { offline: true }))));
      assert.match(offline.message, /"org\/gemma" is not on this machine and downloads are off: MLXD_OFFLINE/);
      writeCheckpoint(folder);
      const single = yield* Effect.flip(fetch("org/gemma").pipe(Effect.provide(downloads(server))));
      assert.match(single.message, /MLXD_MODELS is one model's own folder/);
      assert.deepEqual(server.requests, []);
    }),
  );

  it.live("with a model's name that is no model is left alone", () =>
    Effect.gen(function* () {
      const server = yield* hub();
      mkdirSync(join(folder, "org--gemma", "mine"), { recursive: true });
      const error = yield* Effect.flip(fetch("org/gemma").pipe(Effect.provide(downloads(server))));
      assert.match(error.message, /something else is in its place/);
      assert.deepEqual(readdirSync(join(folder, "org--gemma")), ["mine"]);
    }),
  );
});

describe("a name that no repository can have", () => {
  const names = [
    "",
    "gemma",
    "org/",
    "/etc",
    "org/a/b",
    "../etc",
    "org/..",
    "..%2Fetc/x",
    "org/a..b",
    "org/a--b",
    "org/.hidden",
    "org/a-",
    "org/a.git",
    "org/a b",
    "org/a\u0000b",
    "org/한국어",
    "org\\a/b",
    `org/${"a".repeat(93)}`,
  ];
  const revisions = ["../x", "a//b", "/main", "main/", "a b", "-x", "a\nb", "x".repeat(300), "refs/../main"];

  it.live("is refused before the hub is asked", () =>
    Effect.gen(function* () {
      const server = yield* hub();
      const layer = downloads(server);
      for (const name of names) {
        const error = yield* Effect.flip(fetch(name).pipe(Effect.provide(layer)));
        assert.strictEqual(error._tag, "InvalidField", JSON.stringify(name));
        assert.match(error.message, /^model: /);
      }
      for (const revision of revisions) {
        const error = yield* Effect.flip(fetch("org/gemma", revision).pipe(Effect.provide(layer)));
        assert.strictEqual(error._tag, "InvalidField", revision);
        assert.match(error.message, /^revision: /);
      }
      assert.deepEqual(server.requests, []);
      assert.deepEqual(readdirSync(folder), []);
    }),
  );
});
