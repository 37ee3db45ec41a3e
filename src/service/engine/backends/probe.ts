/** Asks a server for its list of models: whether it is there, without work for it. */
import { Effect } from "effect";
import { request } from "undici";

import type { BackendSettings } from "../../config/read-backends.ts";
import { apiHeaders } from "./api-headers.ts";
import { connectionsTo } from "./connections.ts";

/** Succeeds with any answer but a fault of the server (HTTP 5xx). Over a connection of its own. */
export const probe = (backend: BackendSettings): Effect.Effect<void, ProbeFailed> =>
  Effect.scoped(
    Effect.flatMap(connectionsTo({ ...backend, readTimeoutMs: answerMs }), (dispatcher) =>
      Effect.tryPromise({
        try: async (signal) => {
          const { statusCode, body } = await request(`${backend.baseUrl}/models`, {
            dispatcher,
            headers: apiHeaders(backend),
            signal,
          });
          body.on("error", () => {});
          body.destroy();
          if (statusCode >= 500) throw new ProbeFailed(`HTTP ${statusCode}`);
        },
        catch: (thrown) => new ProbeFailed("the server does not answer", { cause: thrown }),
      }),
    ),
  );

class ProbeFailed extends Error {
  readonly _tag = "ProbeFailed";
}

const answerMs = 10_000;
