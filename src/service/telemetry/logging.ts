/** Structured logs on standard error; standard output is for requested output. Prompts are never logged. */
import { Effect, Layer, Logger, References } from "effect";

import { LogConfig } from "../config/LogConfig.ts";
import { writeLogLine } from "./standard-streams.ts";

export const layer = Layer.unwrap(
  Effect.map(LogConfig, ({ level, format }) =>
    Layer.mergeAll(
      Logger.layer([Logger.map(format === "json" ? Logger.formatJson : Logger.formatLogFmt, writeLogLine)]),
      Layer.succeed(References.MinimumLogLevel, level),
    ),
  ),
);
