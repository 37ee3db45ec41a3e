/** Traces, as OpenTelemetry has them, over OTLP/HTTP. What is traced are spans of Effect's, which its own exporter sends. */
import { Context, Effect, Layer } from "effect";
import { FetchHttpClient, HttpClient } from "effect/http";
import { OtlpSerialization, OtlpTracer } from "effect/observability";

import { TraceConfig } from "../../config/TraceConfig.ts";
import { versions } from "../../config/versions.ts";

export interface TracingState {
  readonly isOn: boolean;
  /** Share of the calls that are traced whose caller does not say whether they are, 0..1. */
  readonly sampleRatio: number;
}

/** Off unless `layer` is there. */
export const Tracing: Context.Reference<TracingState> = Context.Reference<TracingState>("mlxd/telemetry/Tracing", {
  defaultValue: () => ({ isOn: false, sampleRatio: 0 }),
});

/**
 * Sends what is traced while its scope is open, and the rest when it closes, for 3 s at most. A receiver that fails is left alone for a
 * minute, and what ends in that time is lost: traces never hold the service up.
 */
export const layer = Layer.unwrap(
  Effect.map(TraceConfig, ({ endpoint, sampleRatio }) => {
    if (endpoint === undefined) return Layer.empty;
    const exporter = OtlpTracer.layer({
      url: `${endpoint}/v1/traces`,
      resource: { serviceName: "mlxd", serviceVersion: versions.mlxd },
      compression: "gzip",
    }).pipe(Layer.provide([OtlpSerialization.layerProtobuf, patientClient]));
    return Layer.merge(exporter, Layer.succeed(Tracing, { isOn: true, sampleRatio }));
  }),
);

/** The exporter waits for ever for a receiver that takes a request and does not answer, and keeps its spans that long. */
const patientClient = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(
    HttpClient.HttpClient,
    HttpClient.transformResponse(
      Effect.timeoutOrElse({
        duration: "10 seconds",
        orElse: () => Effect.die("the receiver of traces does not answer"),
      }),
    ),
  ),
).pipe(Layer.provide(FetchHttpClient.layer));
