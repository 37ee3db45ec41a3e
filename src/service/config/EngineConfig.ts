/** Settings of engine processes and their supervision. */
import { readFileSync } from "node:fs";
import { Config, Context, Effect, Layer } from "effect";

import { type MachineMemory, readMachineMemory } from "./machine-memory.ts";
import { wholeNumber } from "./whole-number.ts";

export interface EngineSettings {
  /** The complete environment of an engine process. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** How many sequences of one model run at once. */
  readonly maxRunning: number;
  /** Prompt tokens computed between two decode steps. */
  readonly prefillSliceTokens: number;
  /** Bytes of KV cache per engine. */
  readonly kvCacheBytes: number;
  /** Bytes of an engine's prefix cache; 0 disables it. */
  readonly prefixCacheBytes: number;
  /** How many adapters one engine holds at once. */
  readonly maxAdapters: number;
  /** When tokens are drafted and verified several at a time: never, when it is measured to be faster, or always. */
  readonly speculation: "off" | "measured" | "always";
  /**
   * The form of weights in memory. `stored`: the checkpoint's, even on a CPU. `bfloat16`: the same, with 32-bit numbers
   * and float16 as bfloat16. They are computed in their type.
   */
  readonly weights: "auto" | "stored" | "bfloat16";
  /** Whether engines compute one at a time. */
  readonly takesTurns: boolean;
  /** How long loading may take, including the first token. */
  readonly loadTimeoutMs: number;
  /** An engine that does not answer, or has work and delivers nothing, for this long is restarted. */
  readonly stallMs: number;
  /** After this time without an answer or delivery, health reports that the model does not serve. */
  readonly unresponsiveMs: number;
}

export const engineSettings = Config.all({
  maxRunning: wholeNumber("MLXD_MAX_RUNNING", { minimum: 1, maximum: 256, fallback: 32 }),
  prefillSliceTokens: wholeNumber("MLXD_PREFILL_SLICE_TOKENS", { minimum: 16, maximum: 16384, fallback: 256 }),
  kvCacheBytes: wholeNumber("MLXD_KV_CACHE_BYTES", { minimum: 1024 ** 2, maximum: 1024 ** 4, fallback: 2 * 1024 ** 3 }),
  prefixCacheBytes: wholeNumber("MLXD_PREFIX_CACHE_BYTES", { minimum: 0, maximum: 1024 ** 4, fallback: 1024 ** 3 }),
  maxAdapters: wholeNumber("MLXD_MAX_ADAPTERS", { minimum: 1, maximum: 64, fallback: 4 }),
  speculation: Config.Literals(["off", "measured", "always"], "MLXD_SPECULATION").pipe(
    Config.withDefault("measured" as const),
  ),
  weights: Config.Literals(["auto", "stored", "bfloat16"], "MLXD_WEIGHTS").pipe(Config.withDefault("auto" as const)),
  binding: Config.Literals(["auto", "own", "node-mlx"], "MLXD_BINDING").pipe(Config.withDefault("auto" as const)),
  takesTurns: Config.Literals(["auto", "on", "off"], "MLXD_ENGINE_TURNS").pipe(
    Config.withDefault("auto" as const),
    Config.map((value) => (value === "auto" ? hasLittleMemory(readMachineMemory()) : value === "on")),
  ),
  loadTimeoutMs: wholeNumber("MLXD_LOAD_TIMEOUT_MS", { minimum: 1000, maximum: 86_400_000, fallback: 600_000 }),
  stallMs: wholeNumber("MLXD_ENGINE_STALL_MS", { minimum: 1000, maximum: 3_600_000, fallback: 60_000 }),
  unresponsiveMs: wholeNumber("MLXD_ENGINE_UNRESPONSIVE_MS", { minimum: 1000, maximum: 3_600_000, fallback: 10_000 }),
});

/**
 * Whether two engines that compute at once are likely to exhaust memory: macOS has panicked under memory pressure on
 * Macs with up to 32 GiB, whose GPU shares the memory.
 */
export const hasLittleMemory = ({ totalBytes, gpuWorkingSetBytes }: MachineMemory): boolean =>
  gpuWorkingSetBytes !== undefined && totalBytes <= 32 * 1024 ** 3;

export class EngineConfig extends Context.Service<EngineConfig, EngineSettings>()("mlxd/config/EngineConfig") {
  static readonly layer = Layer.effect(
    EngineConfig,
    Effect.map(engineSettings, ({ binding, ...read }) => ({
      ...read,
      environment: { ...engineEnvironment(), MLXD_BINDING: binding },
    })),
  );
}

/** The environment that engine processes are started with. */
export const engineEnvironment = (): Readonly<Record<string, string | undefined>> => {
  const core = process.platform === "linux" ? openBlasCore(cpuFlags()) : undefined;
  return core === undefined ? process.env : { OPENBLAS_CORETYPE: core, ...process.env };
};

/**
 * The kernels that OpenBLAS should use. It treats newer CPUs that it does not know as a Prescott, whose kernels are six
 * to seven times slower. Undefined leaves the choice to OpenBLAS.
 */
export const openBlasCore = (flags: ReadonlySet<string>): string | undefined => {
  if (flags.has("avx512f")) return "SkylakeX";
  return flags.has("avx2") ? "Haswell" : undefined;
};

const cpuFlags = (): ReadonlySet<string> => {
  try {
    const line = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"));
    return new Set(line?.[1]?.trim().split(/\s+/));
  } catch {
    return new Set();
  }
};
