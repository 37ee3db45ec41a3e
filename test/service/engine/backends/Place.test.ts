import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";

import { BackendRefused, BackendUnavailable } from "../../../../src/service/domain/errors.ts";
import { Hosts } from "../../../../src/service/engine/backends/Host.ts";
import { managedPlace, remotePlace } from "../../../../src/service/engine/backends/Place.ts";
import { managedBackend } from "../../../support/managed-backend.ts";
import { scriptedBackend } from "../../../support/scripted-backend.ts";
import { servedModel } from "../../../support/served-model.ts";

const about = { model: "demo", backend: "attic" };
const unavailable = new BackendUnavailable({ ...about, cause: "http_500", retryAfterMs: 1 });
const refused = new BackendRefused({ ...about, status: 400, words: "no" });

describe("where a model's requests go", () => {
  it.live("is a server of others, which is asked nothing before, and of which nothing is known", () =>
    Effect.gen(function* () {
      const backend = yield* scriptedBackend(() => {});
      const place = yield* remotePlace(backend.settings, new Hosts());
      const reached = yield* place.reach;
      assert.strictEqual(reached.baseUrl, backend.settings.baseUrl);
      assert.isFalse(yield* reached.isGone(unavailable));
      assert.deepStrictEqual(place.status(), { residentBytes: 0, restarts: 0 });
      assert.deepStrictEqual(backend.connections(), { made: 0, open: 0 });
    }),
  );

  it.live("is a server of its own, which is tried when a request has failed there, and then another one", () =>
    Effect.gen(function* () {
      const model = servedModel({ id: "demo", source: "org/demo", engine: "vllm" });
      const place = yield* managedPlace(model, managedBackend(), () => Effect.void);
      assert.isAbove(place.status().residentBytes, 1024 ** 2);
      const reached = yield* place.reach;
      // What is wrong with a request is not wrong with the server.
      assert.isFalse(yield* reached.isGone(refused));
      assert.isFalse(yield* reached.isGone(unavailable));
      assert.strictEqual((yield* place.reach).baseUrl, reached.baseUrl);
      const lame = JSON.stringify({ messages: [{ role: "user", content: "lame" }] });
      yield* Effect.promise(() => fetch(`${reached.baseUrl}/chat/completions`, { method: "POST", body: lame }));
      while (!(yield* reached.isGone(unavailable))) yield* Effect.sleep(10);
      assert.notStrictEqual((yield* place.reach).baseUrl, reached.baseUrl);
      assert.strictEqual(place.status().restarts, 1);
    }),
  );
});
