import { create } from "@bufbuild/protobuf";
import { Code, createHandlerContext, type HandlerContext } from "@connectrpc/connect";
import { Effect, Layer, ManagedRuntime, Stream } from "effect";
import { describe, expect, it } from "vitest";

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
    Layer.provide(Layer.succeed(ServerConfig, testConfig)),
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
    expect(error.code).toBe(Code.ResourceExhausted);
    expect(test.log).toEqual([]);
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
    expect(error.code).toBe(Code.Internal);
    expect(error.message).not.toContain("secret");
    const { info } = detailsOf(error);
    expect(info?.reason).toBe("INTERNAL");
    const [line] = test.log;
    expect(line?.text).toContain("secret");
    expect(line?.annotations).toEqual({
      method: "mlxd.v1.GenerationService/Generate",
      requestId: info?.metadata["requestId"],
    });
  });

  it("ends at its deadline with our details, also where Connect's own timer is first", async () => {
    await using test = await startBridge();
    const error = await errorOf(run(test.bridge, contextOf({ timeoutMs: 20 }), Effect.never));
    expect(error.code).toBe(Code.DeadlineExceeded);
    expect(detailsOf(error).info?.reason).toBe("DEADLINE");
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
    expect(error.code).toBe(Code.DeadlineExceeded);
    expect(log.entries).toEqual([]);
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
    expect(detailsOf(await error).info?.reason).toBe("DRAINING");
  });
});

describe("a stream", () => {
  it("numbers its messages from 0, across the pieces in which they come", async () => {
    await using test = await startBridge();
    const stream = Stream.concat(Stream.make("a", "b"), Stream.fromIterable(["c"]));
    expect(await collect(test.bridge.stream(request, contextOf(), outgoing(stream)))).toEqual(["0:a", "1:b", "2:c"]);
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
    expect(made).toBeLessThan(300);
    let read = 1;
    while (!(await iterator.next()).done) read += 1;
    expect(read).toBe(5000);
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
    expect((await iterator.next()).done).toBe(true);
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
    expect(error.code).toBe(Code.Internal);
    expect(test.log[0]?.text).toContain("secret");
  });

  it("without end has no deadline but its caller's", async () => {
    await using test = await startBridge();
    const endless = { ...outgoing(Stream.never), endless: true };
    const error = await errorOf(collect(test.bridge.stream(request, contextOf({ timeoutMs: 20 }), endless)));
    expect(error.code).toBe(Code.DeadlineExceeded);
  });
});
