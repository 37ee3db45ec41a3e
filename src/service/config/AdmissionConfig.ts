/** How many generations of one model run and wait. */
import { Config, Context, Layer } from "effect";

export interface AdmissionSettings {
  /** Given to the engine at once. */
  readonly maxRunning: number;
  /** Waiting beyond these; one more is refused. */
  readonly maxQueued: number;
}

const settings = Config.all({
  maxRunning: Config.Int("MLXD_MAX_RUNNING").pipe(Config.withDefault(32)),
  maxQueued: Config.Int("MLXD_MAX_QUEUED").pipe(Config.withDefault(256)),
});

export class AdmissionConfig extends Context.Service<AdmissionConfig, AdmissionSettings>()(
  "mlxd/config/AdmissionConfig",
) {
  static readonly layer = Layer.effect(AdmissionConfig, settings);
}
