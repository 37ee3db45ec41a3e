/** Probes a server by requesting its list of models, which costs it nothing. */
import { Effect } from "effect";
import { request } from "undici";

import type { BackendSettings } from "../../config/read-backends.ts";
import { apiHeaders } from "./api-headers.ts";
import { connectionsTo } from "./connections.ts";

/** Succeeds with any answer except HTTP 5xx. Uses a separate connection. */
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
