import { assert, it } from "@effect/vitest";
import { Effect } from "effect";
import { request } from "undici";

import { connectionsTo } from "../../../../src/service/engine/backends/connections.ts";
import { scriptedBackend } from "../../../support/scripted-backend.ts";

it.live("connections end with their scope, and with them what still runs over them", () =>
  Effect.gen(function* () {
    const backend = yield* scriptedBackend((response) => void response.writeHead(200).write("a"));
    const body = yield* Effect.scoped(
      Effect.flatMap(connectionsTo(backend.settings), (dispatcher) =>
        Effect.promise(async () => {
          const response = await request(backend.settings.baseUrl, { dispatcher });
          response.body.on("error", () => {});
          return response.body;
        }),
      ),
    );
    const failure = yield* Effect.promise(() => body.text().catch((error: unknown) => error));
    assert.instanceOf(failure, Error);
    while (backend.connections().open > 0) yield* Effect.sleep(5);
  }),
);
