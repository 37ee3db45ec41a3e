/** What work on untrusted input may take, and how many processes do it. */
import { Config, Context, Effect, Layer } from "effect";

import { wholeNumber } from "./whole-number.ts";

export interface SandboxSettings {
  /** Of CPU, for one job. */
  readonly timeLimitMs: number;
  /** Bytes that one job may take beside what its process held before. */
  readonly memoryBytes: number;
  /** Processes for small inputs at most. */
  readonly lanes: number;
  /** The whole environment of such a process. */
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

/** No secrets: what runs there has no business with them. Templates write dates in local time. */
const sandboxEnvironment = (): SandboxSettings["environment"] => {
  const { TZ } = process.env;
  return TZ === undefined ? {} : { TZ };
};
