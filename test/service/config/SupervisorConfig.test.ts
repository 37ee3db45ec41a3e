/** What systemd sets for a service that it starts, sd_notify(3) and sd_watchdog_enabled(3). */
import { assert, describe, it } from "@effect/vitest";
import { ConfigProvider, Effect } from "effect";

import { SupervisorConfig } from "../../../src/service/config/SupervisorConfig.ts";

const read = (environment: Record<string, string>) =>
  SupervisorConfig.pipe(
    Effect.provide(SupervisorConfig.layer, { local: true }),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: environment })),
  );

describe("the settings of a supervisor", () => {
  it.effect.each([{}, { NOTIFY_SOCKET: "" }])("are none where systemd has not started the service: %o", (environment) =>
    Effect.gen(function* () {
      assert.deepEqual(yield* read(environment), { socket: undefined, watchdogMs: undefined });
    }),
  );

  it.effect("are the socket and the watchdog's time, which systemd gives in microseconds", () =>
    Effect.gen(function* () {
      assert.deepEqual(yield* read({ NOTIFY_SOCKET: "/run/systemd/notify", WATCHDOG_USEC: "30000000" }), {
        socket: "/run/systemd/notify",
        watchdogMs: 30_000,
      });
      // In the abstract namespace, as systemd writes it for a user's services.
      const { socket, watchdogMs } = yield* read({ NOTIFY_SOCKET: "@/org/freedesktop/systemd1/notify" });
      assert.deepEqual([socket, watchdogMs], ["@/org/freedesktop/systemd1/notify", undefined]);
    }),
  );

  it.effect.each(["0", "-1", "soon", "1e13"])("are refused with a watchdog of %s", (text) =>
    Effect.gen(function* () {
      assert.include(String(yield* Effect.flip(read({ WATCHDOG_USEC: text }))), "WATCHDOG_USEC");
    }),
  );
});
