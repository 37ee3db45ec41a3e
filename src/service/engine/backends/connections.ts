/** The connections to a server: pooled, and straight to it, whatever the environment says of proxies. */
import { Effect, type Scope } from "effect";
import { Agent } from "undici";

import type { BackendSettings } from "../../config/read-backends.ts";

type TimeOuts = Pick<BackendSettings, "connectTimeoutMs" | "readTimeoutMs">;

/** The scope owns them: whatever still runs over them ends with it. */
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
