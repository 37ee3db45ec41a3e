/** Pooled connections to a server. They are direct, even if the environment names a proxy. */
import { Effect, type Scope } from "effect";
import { Agent } from "undici";

import type { BackendSettings } from "../../config/read-backends.ts";

type TimeOuts = Pick<BackendSettings, "connectTimeoutMs" | "readTimeoutMs">;

/** The scope owns the connections: requests that still run end with it. */
export const connectionsTo = ({
  connectTimeoutMs,
  readTimeoutMs,
}: TimeOuts): Effect.Effect<Agent, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(
      () =>
        new Agent({
          connect: { timeout: connectTimeoutMs },
          headersTimeout: readTimeoutMs,
          bodyTimeout: readTimeoutMs,
          pipelining: 1,
        }),
    ),
    (agent) => Effect.promise(() => agent.destroy()),
  );
