import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";

import { probe } from "../../../../src/service/engine/backends/probe.ts";
import { key, scriptedBackend } from "../../../support/scripted-backend.ts";

describe("a probe", () => {
  it.live.each([
    [200, "Success"],
    [401, "Success"],
    [404, "Success"],
    [500, "Failure"],
    [503, "Failure"],
  ] as const)("of a server that answers %s is a %s", ([status, outcome]) =>
    Effect.gen(function* () {
      const { settings, requests } = yield* scriptedBackend((response) => void response.writeHead(status).end("{}"));
      const result = yield* Effect.result(probe(settings));
      assert.strictEqual(result._tag, outcome);
      assert.strictEqual(requests[0]?.path, "/v1/models");
      assert.strictEqual(requests[0]?.headers.authorization, `Bearer ${key}`);
    }),
  );

  it.live("of a server that breaks off fails, and leaves no connection", () =>
    Effect.gen(function* () {
      const { settings, connections } = yield* scriptedBackend((response) => void response.destroy());
      assert.strictEqual((yield* Effect.result(probe(settings)))._tag, "Failure");
      while (connections().open > 0) yield* Effect.sleep(5);
    }),
  );
});
