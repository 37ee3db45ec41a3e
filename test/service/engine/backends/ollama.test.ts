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
