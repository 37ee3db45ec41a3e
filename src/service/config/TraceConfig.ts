/** Where traces are sent, and how many calls are traced. */
import { Config, Context, Layer, Schema } from "effect";

export interface TraceSettings {
  /** Base URL of an OTLP/HTTP receiver, without a trailing slash; undefined: nothing is traced. */
  readonly endpoint: string | undefined;
  /** The share of calls that are traced if the caller does not decide, 0..1. */
  readonly sampleRatio: number;
}

const httpUrl = Schema.String.check(
  Schema.makeFilter((text) => (URL.canParse(text) && /^https?:/.test(text)) || "an http or https URL"),
);

export const traceSettings = Config.all({
  endpoint: Config.schema(httpUrl, "MLXD_TRACE_ENDPOINT").pipe(
    Config.orElse(() => Config.schema(httpUrl, "OTEL_EXPORTER_OTLP_ENDPOINT")),
    Config.map((url) => url.replace(/\/+$/, "")),
    Config.withDefault(undefined),
  ),
  sampleRatio: Config.schema(
    Schema.NumberFromString.check(Schema.isBetween({ minimum: 0, maximum: 1 })),
    "MLXD_TRACE_SAMPLE",
  ).pipe(Config.withDefault(1)),
});

export class TraceConfig extends Context.Service<TraceConfig, TraceSettings>()("mlxd/config/TraceConfig") {
  static readonly layer = Layer.effect(TraceConfig, traceSettings);
}
