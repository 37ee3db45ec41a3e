/** What is logged, and in which format. */
import { Config, Context, Layer, type LogLevel } from "effect";

export interface LogSettings {
  readonly level: LogLevel.LogLevel;
  /** `pretty` is for people, `json` for log collectors: one object per line. */
  readonly format: "pretty" | "json";
}

export const logSettings = Config.all({
  level: Config.LogLevel("MLXD_LOG_LEVEL").pipe(Config.withDefault("Info" as const)),
  format: Config.Literals(["pretty", "json"], "MLXD_LOG_FORMAT").pipe(Config.withDefault("pretty" as const)),
});

export class LogConfig extends Context.Service<LogConfig, LogSettings>()("mlxd/config/LogConfig") {
  static readonly layer = Layer.effect(LogConfig, logSettings);
}
