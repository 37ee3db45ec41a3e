import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { assert, describe, it } from "@effect/vitest";
import { Effect, Layer } from "effect";

import { TraceConfig } from "../../../../src/service/config/TraceConfig.ts";
import { layer, Tracing } from "../../../../src/service/telemetry/traces/Tracing.ts";
import { startOtlpReceiver } from "../../../support/otlp-receiver.ts";

const tracingTo = (endpoint: string | undefined) =>
  layer.pipe(Layer.provide(Layer.succeed(TraceConfig, { endpoint, sampleRatio: 0.5 })));

const traced = (endpoint: string) =>
  Effect.runPromise(Effect.withSpan(Effect.void, "work").pipe(Effect.provide(tracingTo(endpoint))));

describe("traces", () => {
  it("are off without a receiver", async () => {
    const { isOn } = await Effect.runPromise(Tracing.pipe(Effect.provide(tracingTo(undefined))));
    assert.isFalse(isOn);
  });

  it("are sent by the time their scope has closed", async () => {
    await using receiver = await startOtlpReceiver();
    await traced(receiver.url);
    assert.include(
      receiver.spans.map(({ name }) => name),
      "work",
    );
  });

  it("hold nobody up whose receiver takes them and does not answer", async () => {
    const silent = createServer(() => {}).listen(0, "127.0.0.1");
    await once(silent, "listening");
    await traced(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`);
    silent.closeAllConnections();
    silent.close();
  });

  it("hold nobody up where there is no receiver", async () => {
    await traced("http://127.0.0.1:1");
  });
});
