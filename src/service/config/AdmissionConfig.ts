/** How many generations of one model may run and wait. */
import { Config, Context, Layer } from "effect";

import { wholeNumber } from "./whole-number.ts";

export interface AdmissionSettings {
  /** How many are given to the engine at once. */
  readonly maxRunning: number;
  /** How many may wait in addition; one more is refused. */
  readonly maxQueued: number;
}

export const admissionSettings = Config.all({
  maxRunning: wholeNumber("MLXD_MAX_RUNNING", { minimum: 1, maximum: 256, fallback: 32 }),
  maxQueued: wholeNumber("MLXD_MAX_QUEUED", { minimum: 0, maximum: 100000, fallback: 256 }),
});

export class AdmissionConfig extends Context.Service<AdmissionConfig, AdmissionSettings>()(
  "mlxd/config/AdmissionConfig",
) {
  static readonly layer = Layer.effect(AdmissionConfig, admissionSettings);
}
