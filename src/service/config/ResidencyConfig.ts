/** How many models are kept in memory, and for how long. */
import { Config, Context, Layer, Result, Schema } from "effect";

import { type MachineMemory, mostModelBytes, readMachineMemory } from "./machine-memory.ts";
import { wholeNumber } from "./whole-number.ts";

export interface ResidencySettings {
  /** How many models may be loaded or loading at once. */
  readonly maxLoaded: number;
  /** Bytes of all engines together. */
  readonly budgetBytes: number;
  /** What the machine lets models have at most; Infinity: it does not say. */
  readonly mostBytes: number;
  /** A model without a task for this long is unloaded; 0: never. */
  readonly idleTtlMs: number;
  /** How long a load waits for models in use to become idle. */
  readonly loadWaitMs: number;
  /** Names of models that are loaded before the port opens. */
  readonly preload: ReadonlyArray<string>;
}

export const residencySettings = Config.all({
  maxLoaded: wholeNumber("MLXD_MAX_LOADED_MODELS", { minimum: 1, maximum: 20, fallback: 4 }),
  budgetBytes: Config.schema(
    Schema.String.check(Schema.makeFilter((text) => problemOf(budgetFrom(text, readMachineMemory())))),
    "MLXD_MEMORY_BUDGET",
  ).pipe(
    Config.withDefault("80%"),
    Config.map((text) => Result.getOrThrow(budgetFrom(text, readMachineMemory()))),
  ),
  mostBytes: Config.succeed(mostModelBytes(readMachineMemory())),
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
  static readonly layer = Layer.effect(ResidencyConfig, residencySettings);
}

/**
 * @param text a share of the machine's memory such as `80%`, or bytes
 * @returns bytes; a share is limited to what the GPU may hold
 */
export const budgetFrom = (text: string, machine: MachineMemory): Result.Result<number, string> => {
  const [, digits, percent] = /^(\d{1,13})(%?)$/.exec(text) ?? [];
  const value = Number(digits);
  const most = mostModelBytes(machine);
  if (percent === "%" && value >= 1 && value <= 100) {
    return Result.succeed(Math.min(most, Math.floor((machine.totalBytes * value) / 100)));
  }
  if (percent !== "" || value < 64 * 1024 ** 2 || value > 1024 ** 4) {
    return Result.fail("1%..100%, or 67108864..1099511627776 bytes");
  }
  return value <= most
    ? Result.succeed(value)
    : Result.fail(`at most ${most} bytes, as the GPU of this Mac may not hold more beside the system`);
};

const problemOf = (budget: Result.Result<number, string>): string | undefined =>
  Result.isFailure(budget) ? budget.failure : undefined;
