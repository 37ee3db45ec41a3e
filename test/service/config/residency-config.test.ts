import { totalmem } from "node:os";
import { assert, describe, it } from "@effect/vitest";
import { ConfigProvider, Effect } from "effect";

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
      assert.deepStrictEqual(settings, { maxLoaded: 4, idleTtlMs: 0, loadWaitMs: 60_000, preload: [""] });
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

  it("takes a budget in bytes or as a share of the machine", () => {
    assert.strictEqual(budgetFrom("1000000000", 5), 1e9);
    assert.strictEqual(budgetFrom("80%", 1000), 800);
    assert.strictEqual(budgetFrom("100%", 1000), 1000);
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
