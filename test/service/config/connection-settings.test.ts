import { assert, describe, it } from "@effect/vitest";
import { Config, ConfigProvider, Effect } from "effect";

import { connectionSettings } from "../../../src/service/config/connection-settings.ts";
import { settingProblem } from "../../../src/service/config/settings.ts";

const read = (settings: Record<string, string>) =>
  Config.all(connectionSettings).parse(ConfigProvider.fromUnknown(settings));

describe("the settings of connections", () => {
  it.effect("bound their number and idle time by default, and not their age", () =>
    Effect.gen(function* () {
      assert.deepEqual(yield* read({}), {
        maxConnections: 4096,
        maxConnectionsPerPeer: 1024,
        maxConnectionIdleMs: 3_600_000,
        maxConnectionAgeMs: 0,
        connectionAgeGraceMs: 600_000,
        socket: undefined,
        socketMode: 0o600,
      });
    }),
  );

  it.effect.each([
    ["600", 0o600],
    ["660", 0o660],
    ["0666", 0o666],
    ["000", 0],
  ] as const)("read the permissions %s as octal digits", ([digits, mode]) =>
    Effect.gen(function* () {
      const { socket, socketMode } = yield* read({ MLXD_SOCKET: "/run/mlxd.sock", MLXD_SOCKET_MODE: digits });
      assert.deepEqual([socket, socketMode], ["/run/mlxd.sock", mode]);
    }),
  );

  it.effect("take an empty path for none, as a unit file has it that sets nothing", () =>
    Effect.gen(function* () {
      assert.isUndefined((yield* read({ MLXD_SOCKET: "" })).socket);
    }),
  );

  it.each(["66", "6600", "1777", "668", "rw-rw----", "0o660"])("refuse the permissions %o", (digits) => {
    assert.include(settingProblem("MLXD_SOCKET_MODE", digits) ?? "", "three octal digits");
  });

  it.each([
    ["MLXD_MAX_CONNECTIONS", "0"],
    ["MLXD_MAX_CONNECTIONS_PER_PEER", "0"],
    ["MLXD_MAX_CONNECTIONS", "1000001"],
    ["MLXD_MAX_CONNECTION_IDLE_MS", "604800001"],
    ["MLXD_MAX_CONNECTION_AGE_MS", "-1"],
    ["MLXD_CONNECTION_AGE_GRACE_MS", "86400001"],
    ["MLXD_MAX_CONNECTION_AGE_MS", "1.5"],
  ])("refuse %s=%s", (name, text) => {
    assert.isDefined(settingProblem(name, text));
    assert.isUndefined(settingProblem(name, "1000"));
  });
});
