import { totalmem } from "node:os";
import { assert, describe, it } from "@effect/vitest";
import { ConfigProvider, Effect, Result } from "effect";

import { mostModelBytes, readMachineMemory } from "../../../src/service/config/machine-memory.ts";
import { budgetFrom, ResidencyConfig } from "../../../src/service/config/ResidencyConfig.ts";

const read = (environment: Record<string, string>) =>
  ResidencyConfig.pipe(
    Effect.provide(ResidencyConfig.layer),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: environment })),
  );

describe("ResidencyConfig", () => {
  it.effect("has four models in 80 % of the memory, and preloads the default model", () =>
    Effect.gen(function* () {
      const { budgetBytes, ...settings } = yield* read({});
      assert.deepStrictEqual(settings, {
        maxLoaded: 4,
        mostBytes: mostModelBytes(readMachineMemory()),
        idleTtlMs: 0,
        loadWaitMs: 60_000,
        preload: [""],
      });
      assert.isAtMost(budgetBytes, Math.floor(totalmem() * 0.8));
      assert.isAbove(budgetBytes, 0);
    }),
  );

  it.effect("reads names to preload, or none", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* read({ MLXD_PRELOAD: "a, b" })).preload, ["a", "b"]);
      assert.deepStrictEqual((yield* read({ MLXD_PRELOAD: "none" })).preload, []);
    }),
  );

  const gibibyte = 1024 ** 3;
  const cpu = { totalBytes: 1000, gpuWorkingSetBytes: undefined };
  const mac = { totalBytes: 16 * gibibyte, gpuWorkingSetBytes: 10 * gibibyte };

  it("takes a budget in bytes or as a share of the machine", () => {
    assert.deepStrictEqual(budgetFrom("1000000000", cpu), Result.succeed(1e9));
    assert.deepStrictEqual(budgetFrom("80%", cpu), Result.succeed(800));
    assert.deepStrictEqual(budgetFrom("100%", cpu), Result.succeed(1000));
  });

  it("keeps a share below what the GPU may hold", () => {
    assert.deepStrictEqual(budgetFrom("80%", mac), Result.succeed(9 * gibibyte));
    assert.deepStrictEqual(budgetFrom("50%", mac), Result.succeed(8 * gibibyte));
  });

  it("refuses bytes above what the GPU may hold, with the bound", () => {
    assert.deepStrictEqual(budgetFrom(`${9 * gibibyte}`, mac), Result.succeed(9 * gibibyte));
    const refusal = budgetFrom(`${9 * gibibyte + 1}`, mac);
    assert.include(Result.isFailure(refusal) ? refusal.failure : "taken", `${9 * gibibyte} bytes`);
  });

  const refused: ReadonlyArray<readonly [string, string]> = [
    ...["0%", "101%", "5", "-1%", "80 %", "2000000000000", "1e9", "half"].map(
      (value) => ["MLXD_MEMORY_BUDGET", value] as const,
    ),
    ["MLXD_MAX_LOADED_MODELS", "0"],
    ["MLXD_MAX_LOADED_MODELS", "21"],
    ["MLXD_IDLE_TTL_MS", "-1"],
    ["MLXD_LOAD_WAIT_MS", "forever"],
  ];
  for (const [name, value] of refused) {
    it.effect(`refuses ${name}=${value} by name`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(read({ [name]: value }));
        assert.include(error.message, name);
      }),
    );
  }
});
