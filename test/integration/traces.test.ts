/** Traces of the real service, engine process included, as a receiver of OTLP has them. */
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest";

import { ErrorInfoSchema } from "../../src/client/gen/google/rpc/error_details_pb.ts";
import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { Health } from "../../src/client/gen/grpc/health/v1/health_pb.ts";
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from "../support/otlp-receiver.ts";
import { type RunningService, startService } from "../support/running-service.ts";

const canary = "xylophone-canary";
const task = {
  input: { case: "prompt", value: `${canary} 1 2 3` },
  stop: { ignoreEos: true, maxOutputTokens: 12 },
  labels: { kept: canary },
} as const;

/** A caller's context, by the digit that its ids consist of. */
const contextOf = (digit: string, sampled = true) => ({
  traceId: digit.repeat(32),
  spanId: digit.repeat(16),
  headers: { traceparent: `00-${digit.repeat(32)}-${digit.repeat(16)}-0${sampled ? 1 : 0}` },
});

describe("traces", { timeout: 300_000 }, () => {
  let receiver: OtlpReceiver;
  let service: RunningService;
  beforeAll(async () => {
    receiver = await startOtlpReceiver();
    service = await startService({ MLXD_TRACE_ENDPOINT: receiver.url, MLXD_PRELOAD: "none" });
  }, 300_000);
  afterAll(async () => {
    await service.stop();
    await receiver[Symbol.asyncDispose]();
  });

  const client = () => createClient(GenerationService, createGrpcTransport({ baseUrl: service.url }));
  const spansOf = (traceId: string) => receiver.spans.filter((span) => span.traceId === traceId);
  const call = (name: string) => `mlxd.v1.GenerationService/${name}`;
  /** The whole trace: its root ends last, and a batch is sent as it is. */
  const traceOf = async (traceId: string, root: string) => {
    await receiver.until((span) => span.traceId === traceId && span.name === root);
    return spansOf(traceId);
  };

  it("are below the caller's, and tell queue, load, prefill, decoding and flush, with the engine's process", async () => {
    const { traceId, spanId, headers } = contextOf("a");
    const began = Date.now();
    const events: string[] = [];
    for await (const { event } of client().streamGenerate({ task }, { headers })) events.push(event.case ?? "");
    const ended = Date.now();
    const [pid] = service.workers();
    await receiver.until((span) => span.traceId === traceId && span.name === "flush");
    const spans = await traceOf(traceId, call("StreamGenerate"));
    const byName = Map.groupBy(spans, ({ name }) => name);
    const one = (name: string): ReceivedSpan => {
      const [found] = byName.get(name) ?? [];
      if (found === undefined) assert.fail(`there is no ${name} among ${[...byName.keys()].join(", ")}`);
      return found;
    };
    const root = one(call("StreamGenerate"));
    assert.strictEqual(root.parentSpanId, spanId);
    for (const name of ["prompt", "queue", "model", "engine", "flush"]) one(name);
    // It had to be loaded.
    assert.isAbove(one("model").to - one("model").from, 100);
    const [wait, prefill] = [one("engine.wait"), one("engine.prefill")];
    const bursts = byName.get("engine.decode") ?? [];
    assert.strictEqual(prefill.attributes["process.pid"], pid);
    assert.strictEqual(
      bursts.reduce((sum, { attributes }) => sum + Number(attributes["mlxd.output.tokens"]), 0),
      12,
    );
    for (const each of [wait, prefill, ...bursts]) assert.strictEqual(each.parentSpanId, one("engine").spanId);
    // One after the other, by the clock of the engine's process, within the call.
    assert.isAtMost(wait.to, prefill.from + 1);
    assert.isAtLeast(prefill.from, began);
    for (const { from, to } of [prefill, ...bursts]) {
      assert.isAtMost(from, to);
      assert.isAtMost(to, ended + 1);
    }
    const { attributes } = one("Generations.execute");
    assert.strictEqual(attributes["gen_ai.request.model"], "demo");
    assert.strictEqual(attributes["gen_ai.usage.output_tokens"], 12);
    // Every parent is there, or is the caller's.
    const ids = new Set([spanId, ...spans.map((span) => span.spanId)]);
    for (const { name, parentSpanId } of spans) assert.isTrue(ids.has(parentSpanId), name);
  });

  it("tell nothing of calls that their caller does not trace, of health, and of what is asked", async () => {
    const untraced = contextOf("b", false);
    await client().generate({ task }, { headers: untraced.headers });
    await createClient(Health, createGrpcTransport({ baseUrl: service.url })).check(
      {},
      { headers: contextOf("c").headers },
    );
    const traced = contextOf("d");
    await client().generate({ task }, { headers: traced.headers });
    await traceOf(traced.traceId, call("Generate"));
    assert.deepEqual(spansOf(untraced.traceId), []);
    assert.deepEqual(spansOf(contextOf("c").traceId), []);
    assert.notInclude(receiver.text(), canary);
  });

  it("have their id in errors, also where a call brings no context or one that is none", async () => {
    const connect = createClient(
      GenerationService,
      createConnectTransport({ baseUrl: service.url, httpVersion: "1.1", useBinaryFormat: false }),
    );
    const failed = async (headers: Readonly<Record<string, string>>) => {
      const error = ConnectError.from(
        await connect.generate({ task: { ...task, model: "nobody" } }, { headers }).then(
          () => assert.fail("it succeeded"),
          (cause: unknown) => cause,
        ),
      );
      assert.strictEqual(error.code, Code.NotFound);
      return error.findDetails(ErrorInfoSchema)[0]?.metadata["traceId"] ?? "";
    };
    assert.strictEqual(await failed(contextOf("e").headers), contextOf("e").traceId);
    for (const headers of [{}, { traceparent: "00-nothing" }]) {
      const traceId = await failed(headers);
      assert.match(traceId, /^[0-9a-f]{32}$/);
      const root = await receiver.until((span) => span.traceId === traceId && span.name === call("Generate"));
      assert.strictEqual(root.parentSpanId, "");
    }
  });
});
