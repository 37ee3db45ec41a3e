import { create } from "@bufbuild/protobuf";
import { Code, createHandlerContext, type HandlerContext } from "@connectrpc/connect";
import { Effect, Layer, ManagedRuntime, Stream } from "effect";
import { assert, describe, it } from "vitest";

import { GenerateRequestSchema, GenerationService } from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { Calls } from "../../../src/service/calls/Calls.ts";
import { ServerConfig } from "../../../src/service/config/ServerConfig.ts";
import { QueueFull } from "../../../src/service/domain/errors.ts";
import { Bridge } from "../../../src/service/rpc/Bridge.ts";
import { RequestReader } from "../../../src/service/rpc/RequestReader.ts";
import { callDeadline } from "../../../src/service/rpc/call-values.ts";
import { capturedLog, type LogLine } from "../../support/captured-log.ts";
import { collect } from "../../support/collect.ts";
import { inlineSandbox } from "../../support/inline-sandbox.ts";
import { EventLog } from "../../support/event-log.ts";
import { openAccess } from "../../support/open-access.ts";
import { testConfig } from "../../support/test-server.ts";
import { detailsOf, errorOf } from "../../support/wire-error.ts";

interface TestBridge extends AsyncDisposable {
  readonly bridge: Bridge["Service"];
  readonly log: ReadonlyArray<LogLine>;
}

const startBridge = async (): Promise<TestBridge> => {
  const log: LogLine[] = [];
  const layer = Bridge.layer.pipe(
    Layer.provide(RequestReader.layer.pipe(Layer.provide(inlineSandbox))),
    Layer.provide(Calls.layer),
    Layer.provide([Layer.succeed(ServerConfig, testConfig), openAccess]),
    Layer.provideMerge(capturedLog(log)),
  );
  const runtime = ManagedRuntime.make(layer);
  return { bridge: await runtime.runPromise(Bridge), log, [Symbol.asyncDispose]: () => runtime.dispose() };
};

const request = create(GenerateRequestSchema, { task: { input: { case: "prompt", value: "x" } } });

/** A call as a handler sees it, without a connection. */
const contextOf = (init: { readonly timeoutMs?: number; readonly requestSignal?: AbortSignal } = {}) =>
  createHandlerContext({
    service: GenerationService,
    method: GenerationService.method.generate,
    protocolName: "grpc",
    requestMethod: "POST",
    url: "http://localhost/",
    ...init,
  });

const outgoing = <A>(stream: Stream.Stream<A, QueueFull>) => ({
  stream: () => stream,
  toWire: (event: A, sequence: number) => `${sequence}:${String(event)}`,
});

const calls: ReadonlyArray<
  readonly [
    kind: string,
    run: (
      bridge: Bridge["Service"],
      context: HandlerContext,
      effect: Effect.Effect<string, QueueFull>,
    ) => Promise<unknown>,
  ]
> = [
  ["unary", (bridge, context, effect) => bridge.unary(request, context, () => effect)],
  [
    "stream",
    (bridge, context, effect) => collect(bridge.stream(request, context, outgoing(Stream.fromEffect(effect)))),
  ],
];

describe.each(calls)("a %s call", (_kind, run) => {
  it("fails with the status of its error", async () => {
    await using test = await startBridge();
    const failure = Effect.fail(new QueueFull({ model: "demo", limit: 1, retryAfterMs: 5 }));
    const error = await errorOf(run(test.bridge, contextOf(), failure));
    assert.strictEqual(error.code, Code.ResourceExhausted);
    assert.deepStrictEqual(test.log, []);
  });

  it.each([
    ["a defect", Effect.die(new Error("secret"))],
    [
      "a throw",
      Effect.sync((): string => {
        throw new Error("secret");
      }),
    ],
  ])("tells of %s nothing but where to look", async (_what, effect) => {
    await using test = await startBridge();
    const error = await errorOf(run(test.bridge, contextOf(), effect));
    assert.strictEqual(error.code, Code.Internal);
    assert.notInclude(error.message, "secret");
    const { info } = detailsOf(error);
    assert.strictEqual(info?.reason, "INTERNAL");
    const [line] = test.log;
    assert.include(line?.text, "secret");
    assert.deepStrictEqual(line?.annotations, {
      method: "mlxd.v1.GenerationService/Generate",
      requestId: info?.metadata["requestId"],
    });
  });

  it("ends at its deadline with our details, also where Connect's own timer is first", async () => {
    await using test = await startBridge();
    const error = await errorOf(run(test.bridge, contextOf({ timeoutMs: 20 }), Effect.never));
    assert.strictEqual(error.code, Code.DeadlineExceeded);
    assert.strictEqual(detailsOf(error).info?.reason, "DEADLINE");
  });

  it("does not begin when its deadline has passed", async () => {
    await using test = await startBridge();
    const log = new EventLog();
    const context = contextOf();
    context.values.set(callDeadline, { receivedAt: performance.now() - 100, timeoutMs: 50 });
    const error = await errorOf(
      run(
        test.bridge,
        context,
        Effect.sync(() => (log.add("begun"), "")),
      ),
    );
    assert.strictEqual(error.code, Code.DeadlineExceeded);
    assert.deepStrictEqual(log.entries, []);
  });

  it("is interrupted when its caller has left before it began", async () => {
    await using test = await startBridge();
    const log = new EventLog();
    const effect = Effect.never.pipe(Effect.onInterrupt(() => Effect.sync(() => log.add("interrupted"))));
    await run(test.bridge, contextOf({ requestSignal: AbortSignal.abort() }), effect).catch(() => {});
    await log.until("interrupted");
  });

  it("ends with DRAINING when the service ends", async () => {
    const test = await startBridge();
    const error = errorOf(run(test.bridge, contextOf(), Effect.never));
    await test[Symbol.asyncDispose]();
    assert.strictEqual(detailsOf(await error).info?.reason, "DRAINING");
  });
});

describe("a stream", () => {
  it("numbers its messages from 0, across the pieces in which they come", async () => {
    await using test = await startBridge();
    const stream = Stream.concat(Stream.make("a", "b"), Stream.fromIterable(["c"]));
    assert.deepStrictEqual(await collect(test.bridge.stream(request, contextOf(), outgoing(stream))), [
      "0:a",
      "1:b",
      "2:c",
    ]);
  });

  it("makes no more than fits while nobody reads, and goes on when somebody does", async () => {
    await using test = await startBridge();
    let made = 0;
    const stream = Stream.range(1, 5000).pipe(
      Stream.rechunk(1),
      Stream.tap(() => Effect.sync(() => (made += 1))),
    );
    const iterator = test.bridge.stream(request, contextOf(), outgoing(stream))[Symbol.asyncIterator]();
    await iterator.next();
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.isBelow(made, 300);
    let read = 1;
    while (!(await iterator.next()).done) read += 1;
    assert.strictEqual(read, 5000);
  });

  it("stops its maker when the reader returns", async () => {
    await using test = await startBridge();
    const log = new EventLog();
    const stream = Stream.concat(Stream.make("a"), Stream.never).pipe(
      Stream.onExit(() => Effect.sync(() => log.add("stopped"))),
    );
    const iterator = test.bridge.stream(request, contextOf(), outgoing(stream))[Symbol.asyncIterator]();
    await iterator.next();
    await iterator.return?.();
    await log.until("stopped");
    assert.isTrue((await iterator.next()).done);
  });

  it("with a message that cannot be made is a bug, not a hang", async () => {
    await using test = await startBridge();
    const broken = {
      stream: () => Stream.make(1),
      toWire: () => {
        throw new Error("secret");
      },
    };
    const error = await errorOf(collect(test.bridge.stream(request, contextOf(), broken)));
    assert.strictEqual(error.code, Code.Internal);
    assert.include(test.log[0]?.text, "secret");
  });

  it("without end has no deadline but its caller's", async () => {
    await using test = await startBridge();
    const endless = { ...outgoing(Stream.never), endless: true };
    const error = await errorOf(collect(test.bridge.stream(request, contextOf({ timeoutMs: 20 }), endless)));
    assert.strictEqual(error.code, Code.DeadlineExceeded);
  });
});
