/** Limits for work on untrusted input, and the number of processes for it. */
import { Config, Context, Effect, Layer } from "effect";

import { wholeNumber } from "./whole-number.ts";

export interface SandboxSettings {
  /** CPU time for one job. */
  readonly timeLimitMs: number;
  /** Bytes that one job may add to what its process held before. */
  readonly memoryBytes: number;
  /** The most processes for small inputs. */
  readonly lanes: number;
  /** The complete environment of such a process. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export const sandboxSettings = Config.all({
  timeLimitMs: wholeNumber("MLXD_SANDBOX_TIME_LIMIT_MS", { minimum: 100, maximum: 600_000, fallback: 5000 }),
  memoryBytes: wholeNumber("MLXD_SANDBOX_MEMORY_BYTES", {
    minimum: 64 * 1024 ** 2,
    maximum: 16 * 1024 ** 3,
    fallback: 512 * 1024 ** 2,
  }),
  lanes: wholeNumber("MLXD_SANDBOX_LANES", { minimum: 1, maximum: 64, fallback: 4 }),
});

export class SandboxConfig extends Context.Service<SandboxConfig, SandboxSettings>()("mlxd/config/SandboxConfig") {
  static readonly layer = Layer.effect(
    SandboxConfig,
    Effect.map(sandboxSettings, (read) => ({ ...read, environment: sandboxEnvironment() })),
  );
}

/** Contains no secrets, which this work must not see. Templates write dates in local time. */
const sandboxEnvironment = (): SandboxSettings["environment"] => {
  const { TZ } = process.env;
  return TZ === undefined ? {} : { TZ };
};
