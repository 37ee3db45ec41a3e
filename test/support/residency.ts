/** What a model pool is configured with, for tests. */
import { Layer } from "effect";

import { EngineConfig, type EngineSettings } from "../../src/service/config/EngineConfig.ts";
import { ResidencyConfig, type ResidencySettings } from "../../src/service/config/ResidencyConfig.ts";

/** Each model takes 256 MiB beside its weights: there are no caches. */
export const residency = (
  settings: Partial<ResidencySettings> = {},
  speculation: EngineSettings["speculation"] = "measured",
) =>
  Layer.merge(
    Layer.succeed(ResidencyConfig, {
      maxLoaded: 4,
      budgetBytes: 8 * 1024 ** 3,
      mostBytes: Infinity,
      idleTtlMs: 0,
      loadWaitMs: 60_000,
      preload: [],
      ...settings,
    }),
    Layer.succeed(EngineConfig, {
      environment: {},
      maxRunning: 4,
      prefillSliceTokens: 256,
      kvCacheBytes: 0,
      prefixCacheBytes: 0,
      maxAdapters: 4,
      speculation,
      weights: "auto",
      takesTurns: false,
      loadTimeoutMs: 60_000,
      stallMs: 60_000,
      unresponsiveMs: 10_000,
    }),
  );
