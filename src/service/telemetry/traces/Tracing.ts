/** Sends traces by OTLP/HTTP. The spans are Effect's, and its own exporter sends them. */
import { Context, Effect, Layer } from "effect";
import { FetchHttpClient, HttpClient } from "effect/http";
import { OtlpSerialization, OtlpTracer } from "effect/observability";

import { TraceConfig } from "../../config/TraceConfig.ts";
import { versions } from "../../config/versions.ts";

export interface TracingState {
  readonly isOn: boolean;
  /** The share of calls that are traced if the caller does not decide, 0..1. */
  readonly sampleRatio: number;
}

/** Off unless `layer` is provided. */
export const Tracing: Context.Reference<TracingState> = Context.Reference<TracingState>("mlxd/telemetry/Tracing", {
  defaultValue: () => ({ isOn: false, sampleRatio: 0 }),
});

/**
 * Sends spans while its scope is open, and the rest when it closes, for at most 3 s. After a failure the receiver is
 * left alone for a minute, and spans that end in that time are lost: tracing never delays the service.
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

/**
 * The exporter waits for ever for a receiver that accepts a request and does not answer, and keeps its spans meanwhile.
 */
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
