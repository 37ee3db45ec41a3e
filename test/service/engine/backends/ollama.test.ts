import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";

import type { FetchProgress } from "../../../../src/service/engine/Engines.ts";
import { fetchFromOllama, unloadFromOllama } from "../../../../src/service/engine/backends/ollama.ts";
import { scriptedBackend } from "../../../support/scripted-backend.ts";
import { servedModel } from "../../../support/served-model.ts";

const model = servedModel({ id: "chat", source: "qwen3:8b", engine: "ollama" });
const lines = (...steps: object[]): string => steps.map((step) => `${JSON.stringify(step)}\n`).join("");
const pulled = lines(
  { status: "pulling manifest" },
  { status: "pulling a", digest: "sha256:a", total: 100 },
  { status: "pulling a", digest: "sha256:a", total: 100, completed: 60 },
  { status: "pulling b", digest: "sha256:b", total: 10, completed: 10 },
  { status: "pulling a", digest: "sha256:a", total: 100, completed: 100 },
  { status: "verifying sha256 digest" },
  { status: "success" },
);

/** An Ollama that has one model, `there:1b`, and answers a pull so. */
const scriptedOllama = (pull: string, status = 200) =>
  scriptedBackend((response, { path, body }) => {
    if (path === "/api/tags") return void response.end(JSON.stringify({ models: [{ name: "qwen3:4b" }, {}, 7] }));
    if (path === "/api/show") return void response.writeHead(body["model"] === "there:1b" ? 200 : 404).end("{}");
    if (path === "/api/pull") return void response.writeHead(status).end(pull);
    return void response.end("{}");
  });

describe("a model of Ollama", () => {
  it.live("is fetched where it is not there, and tells how far it is", () =>
    Effect.gen(function* () {
      const { settings, requests } = yield* scriptedOllama(pulled);
      const seen: FetchProgress[] = [];
      assert.isTrue(yield* fetchFromOllama(model, settings, (progress) => seen.push(progress)));
      assert.deepStrictEqual(
        seen.map(({ bytesDone, bytesTotal, filesDone }) => [bytesDone, bytesTotal, filesDone]),
        [
          [0, 100, 0],
          [60, 100, 0],
          [70, 110, 1],
          [110, 110, 2],
        ],
      );
      assert.deepStrictEqual(
        requests.map(({ path, body }) => [path, body["model"]]),
        [
          ["/api/show", "qwen3:8b"],
          ["/api/pull", "qwen3:8b"],
        ],
      );
    }),
  );

  it.live("is not fetched where it is there", () =>
    Effect.gen(function* () {
      const { settings, requests } = yield* scriptedOllama("");
      const there = { ...model, source: "there:1b" };
      assert.isFalse(yield* fetchFromOllama(there, settings, () => {}));
      assert.lengthOf(requests, 1);
    }),
  );

  it.live.each([
    [lines({ error: "pull model manifest: file does not exist" }), 200, "ModelNotFound"],
    ["", 404, "ModelNotFound"],
    [lines({ status: "pulling manifest" }), 200, "BackendProtocol"],
    ["hello\n", 200, "BackendProtocol"],
    [lines({ error: "no space left on device" }), 200, "BackendProtocol"],
    ["", 500, "BackendUnavailable"],
    ["", 401, "BackendCredentials"],
  ] as const)("fails with what became of its fetching: %j with HTTP %s", ([pull, status, expected]) =>
    Effect.gen(function* () {
      const { settings } = yield* scriptedOllama(pull, status);
      const error = yield* Effect.flip(fetchFromOllama(model, settings, () => {}));
      assert.strictEqual(error._tag, expected);
      if (error._tag === "ModelNotFound") assert.include(error.message, "qwen3:4b");
    }),
  );

  it.live("is fetched when Ollama says so, also where it leaves the stream open", () =>
    Effect.gen(function* () {
      const { settings } = yield* scriptedBackend((response, { path }) => {
        if (path === "/api/pull") response.writeHead(200).write(pulled);
        else response.writeHead(404).end();
      });
      assert.isTrue(yield* fetchFromOllama(model, settings, () => {}));
      // An error of the stream that nobody heard would end the service.
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 50)));
    }),
  );

  it.live.each([
    ["a line without an end", "x".repeat(64 * 1024 + 1)],
    [
      "layers without an end",
      lines(...Array.from({ length: 1025 }, (_, digest) => ({ digest: `${digest}`, total: 1 }))),
    ],
    ["bytes that are no UTF-8", Buffer.from([0xff, 0x0a])],
  ] as const)("is not fetched from an Ollama that sends %s", ([, pull]) =>
    Effect.gen(function* () {
      const { settings } = yield* scriptedBackend((response, { path }) => {
        if (path === "/api/pull") response.writeHead(200).write(pull);
        else response.writeHead(404).end();
      });
      const error = yield* Effect.flip(fetchFromOllama(model, settings, () => {}));
      assert.strictEqual(error._tag, "BackendProtocol");
    }),
  );

  it.live("has layers of sizes that there are", () =>
    Effect.gen(function* () {
      const sizes = [-1, 0.5, 1e300, "7", null];
      const steps = sizes.map((total, digest) => ({ digest: `${digest}`, total, completed: 1 }));
      const known = [1.5, -3, 9].map((completed) => ({ digest: "known", total: 2, completed }));
      const { settings } = yield* scriptedOllama(lines(...steps, ...known, { status: "success" }));
      const seen: FetchProgress[] = [];
      yield* fetchFromOllama(model, settings, (progress) => seen.push(progress));
      assert.deepStrictEqual(
        seen.map(({ bytesDone, bytesTotal, filesTotal }) => [bytesDone, bytesTotal, filesTotal]),
        [
          [0, 2, 1],
          [0, 2, 1],
          [2, 2, 1],
        ],
      );
    }),
  );

  it.live("is not there where the others that are there are not told", () =>
    Effect.gen(function* () {
      const { settings } = yield* scriptedBackend((response, { path }) => {
        response.writeHead(path === "/api/tags" ? 500 : 404).end();
      });
      const error = yield* Effect.flip(fetchFromOllama(model, settings, () => {}));
      assert.strictEqual(error._tag, "ModelNotFound");
    }),
  );

  it.live("gives its memory back", () =>
    Effect.gen(function* () {
      const { settings, requests } = yield* scriptedOllama("");
      yield* unloadFromOllama(model, settings);
      assert.deepStrictEqual(
        requests.map(({ path, body }) => [path, body]),
        [["/api/generate", { model: "qwen3:8b", keep_alive: 0 }]],
      );
    }),
  );

  it.live("has nothing to give back where nobody answers", () =>
    unloadFromOllama(model, {
      name: "o",
      engine: "ollama",
      baseUrl: "http://127.0.0.1:1/v1",
      apiKey: undefined,
      permits: 1,
      connectTimeoutMs: 1000,
      readTimeoutMs: 1000,
      writeTimeoutMs: 1000,
      poolTimeoutMs: 1000,
      probeIntervalMs: undefined,
    }),
  );
});
