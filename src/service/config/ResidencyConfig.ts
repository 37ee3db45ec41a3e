/** How many models are held in memory at once, and for how long. */
import { totalmem } from "node:os";
import { Config, Context, Effect, Layer, Schema } from "effect";

import { wholeNumber } from "./whole-number.ts";

export interface ResidencySettings {
  /** Models that are loaded or loading at once. */
  readonly maxLoaded: number;
  /** Bytes of all engines together. */
  readonly budgetBytes: number;
  /** A model without a task for this long is unloaded; 0: never. */
  readonly idleTtlMs: number;
  /** How long a load waits for models in use to make way. */
  readonly loadWaitMs: number;
  /** Names of models that are loaded before the port opens. */
  readonly preload: ReadonlyArray<string>;
}

export const residencySettings = Config.all({
  maxLoaded: wholeNumber("MLXD_MAX_LOADED_MODELS", { minimum: 1, maximum: 20, fallback: 4 }),
  budget: Config.schema(
    Schema.String.check(
      Schema.makeFilter((text) => budgetFrom(text, 0) !== undefined || "1%..100%, or 67108864..1099511627776 bytes"),
    ),
    "MLXD_MEMORY_BUDGET",
  ).pipe(Config.withDefault("80%")),
  idleTtlMs: wholeNumber("MLXD_IDLE_TTL_MS", { minimum: 0, maximum: 604_800_000, fallback: 0 }),
  loadWaitMs: wholeNumber("MLXD_LOAD_WAIT_MS", { minimum: 0, maximum: 3_600_000, fallback: 60_000 }),
  preload: Config.String("MLXD_PRELOAD").pipe(
    Config.withDefault(""),
    Config.map((text) => (text.trim() === "none" ? [] : text.split(",").map((name) => name.trim()))),
  ),
});

export class ResidencyConfig extends Context.Service<ResidencyConfig, ResidencySettings>()(
  "mlxd/config/ResidencyConfig",
) {
  static readonly layer = Layer.effect(
    ResidencyConfig,
    Effect.map(residencySettings, ({ budget, ...read }) => ({
      ...read,
      budgetBytes: budgetFrom(budget, machineBytes()) ?? 0,
    })),
  );
}

/** A share of the machine such as `80%`, or bytes; undefined for what is neither or out of bounds. */
export const budgetFrom = (text: string, machine: number): number | undefined => {
  const [, digits, percent] = /^(\d{1,13})(%?)$/.exec(text) ?? [];
  const value = Number(digits);
  if (percent === "%") return value >= 1 && value <= 100 ? Math.floor((machine * value) / 100) : undefined;
  return value >= 64 * 1024 ** 2 && value <= 1024 ** 4 ? value : undefined;
};

/** A container has less than its machine; where there is no limit the system tells a huge one, or 0. */
const machineBytes = (): number => Math.min(totalmem(), process.constrainedMemory() || Infinity);
