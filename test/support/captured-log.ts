import { Cause, type Layer, Logger, References } from "effect";

export interface LogLine {
  readonly level: string;
  /** The message and, if there is one, the cause. */
  readonly text: string;
  readonly annotations: Readonly<Record<string, unknown>>;
}

/** Logs into an array instead of to the console. */
export const capturedLog = (lines: LogLine[]): Layer.Layer<never> =>
  Logger.layer([
    Logger.make(({ logLevel, message, cause, fiber }) => {
      const annotations = fiber.getRef(References.CurrentLogAnnotations);
      lines.push({ level: logLevel, text: `${String(message)} ${Cause.pretty(cause)}`, annotations });
    }),
  ]);
