import { assert, describe, it } from "@effect/vitest";
import { ConfigProvider, Effect } from "effect";

import { EngineConfig, openBlasCore } from "../../../src/service/config/EngineConfig.ts";

const read = (environment: Record<string, string>) =>
  EngineConfig.pipe(
    Effect.provide(EngineConfig.layer),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: environment })),
  );

describe("EngineConfig", () => {
  it("names kernels that fit the CPU and leaves an unknown one to OpenBLAS", () => {
    assert.strictEqual(openBlasCore(new Set(["avx2", "avx512f"])), "SkylakeX");
    assert.strictEqual(openBlasCore(new Set(["avx2"])), "Haswell");
    assert.isUndefined(openBlasCore(new Set(["sse4_2"])));
  });

  it.effect("reads the environment over its defaults", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* read({})).maxRunning, 32);
      assert.strictEqual((yield* read({ MLXD_MAX_RUNNING: "4" })).maxRunning, 4);
    }),
  );

  for (const value of ["0", "257", "many", "1.5"]) {
    it.effect(`refuses MLXD_MAX_RUNNING=${value} by name`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(read({ MLXD_MAX_RUNNING: value }));
        assert.match(error.message, /MLXD_MAX_RUNNING/);
      }),
    );
  }
});
