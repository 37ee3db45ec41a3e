/**
 * What is between callers and the service: proxies that count silence as death, and that say goodbye in their own ways.
 * The configurations are those of docs/proxies.md.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Effect, Stream } from "effect";
import { assert, beforeEach, describe, it, type TestContext } from "vitest";

import {
  GenerateRequestSchema,
  GenerationService,
  type StreamGenerateResponse,
} from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { QueueFull } from "../../src/service/domain/errors.ts";
import { collect } from "../support/collect.ts";
import { EventLog } from "../support/event-log.ts";
import {
  type Edits,
  type RunningProxy,
  startEnvoy,
  startHaproxy,
  startNginx,
  type StartProxy,
} from "../support/proxies.ts";
import { envelope } from "../support/raw-http.ts";
import { frameTypes, RawHttp2 } from "../support/raw-http2.ts";
import { chunk, eventsOf, promptOf, started } from "../support/scripted-generations.ts";
import { startTestServer, type TestServer, type TestServerOptions } from "../support/test-server.ts";
import { errorOf } from "../support/wire-error.ts";

let log: EventLog;
beforeEach(() => {
  log = new EventLog();
});

/**
 * "wait 500" waits that many milliseconds for its turn; "silent" says a little and then nothing; "endless" never stops
 * talking; "full" is refused.
 */
const script: TestServerOptions = {
  stream: (task) => {
    const prompt = promptOf(task);
    if (prompt === "full") return Stream.fail(new QueueFull({ model: "demo", limit: 1, retryAfterMs: 1500 }));
    if (prompt === "silent" || prompt === "endless") {
      const rest = prompt === "silent" ? Stream.never : Stream.map(Stream.tick(20), () => chunk("a", 1));
      return Stream.concat(Stream.make(started, chunk("a", 1)), rest).pipe(
        Stream.onStart(Effect.sync(() => log.add("started"))),
        Stream.onExit(() => Effect.sync(() => log.add("ended"))),
      );
    }
    const waitMs = Number(/^wait (\d+)$/.exec(prompt)?.[1] ?? 0);
    return Stream.unwrap(Effect.as(Effect.sleep(waitMs), Stream.fromIterable(eventsOf(["a", "b"]))));
  },
};

interface Behind extends AsyncDisposable {
  readonly service: TestServer;
  readonly proxy: RunningProxy;
}

const startBehind = async (
  context: TestContext,
  start: StartProxy,
  edits: Edits = [],
  config: TestServerOptions["config"] = {},
): Promise<Behind> => {
  const service = await startTestServer({ ...script, config });
  const proxy = await start(service.port, edits);
  if (typeof proxy === "string") {
    await service.close();
    return context.skip(proxy);
  }
  return {
    service,
    proxy,
    [Symbol.asyncDispose]: async () => {
      await proxy[Symbol.asyncDispose]();
      await service.close();
    },
  };
};

const taskOf = (value: string) => ({ task: { input: { case: "prompt", value } } }) as const;

const transportsOf = ({ port, webPort }: RunningProxy): Readonly<Record<string, Transport>> => {
  const [h2, h1] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${webPort}`];
  return {
    gRPC: createGrpcTransport({ baseUrl: h2 }),
    "gRPC-Web": createGrpcWebTransport({ baseUrl: h1, httpVersion: "1.1" }),
    Connect: createConnectTransport({ baseUrl: h1, httpVersion: "1.1" }),
    "Connect JSON": createConnectTransport({ baseUrl: h1, httpVersion: "1.1", useBinaryFormat: false }),
  };
};

const lastOf = (events: ReadonlyArray<StreamGenerateResponse>) => events.at(-1)?.event.case;

/** How a stream that waits ends: with its last event, or with a code. */
const outcomeOf = async (transport: Transport | undefined, prompt: string): Promise<string | undefined> => {
  if (transport === undefined) return undefined;
  const client = createClient(GenerationService, transport);
  try {
    return lastOf(await collect(client.streamGenerate(taskOf(prompt))));
  } catch (error) {
    return String(error);
  }
};

describe.each<[string, StartProxy]>([
  ["HAProxy", startHaproxy],
  ["nginx", startNginx],
  ["Envoy", startEnvoy],
])("behind %s", { timeout: 120_000 }, (_name, start) => {
  it("every protocol has its answers, streams and errors", async (context) => {
    await using behind = await startBehind(context, start);
    for (const [name, transport] of Object.entries(transportsOf(behind.proxy))) {
      const client = createClient(GenerationService, transport);
      const { result } = await client.generate(taskOf("x"));
      assert.strictEqual(result?.candidates[0]?.text, "ab", name);
      assert.strictEqual(await outcomeOf(transport, "x"), "finished", name);
      const error = await errorOf(client.generate(taskOf("full")));
      assert.strictEqual(error.code, Code.ResourceExhausted, name);
      assert.strictEqual(error.metadata.get("grpc-retry-pushback-ms"), "1500", name);
      if (name.startsWith("Connect")) assert.strictEqual(error.metadata.get("retry-after"), "2", name);
      assert.isNotEmpty(error.metadata.get("x-request-id"), name);
    }
  });

  it("text comes piece by piece", async (context) => {
    await using behind = await startBehind(context, start);
    for (const [name, transport] of Object.entries(transportsOf(behind.proxy))) {
      const stream = createClient(GenerationService, transport).streamGenerate(taskOf("silent"));
      const events: Array<string | undefined> = [];
      for await (const { event } of stream) {
        events.push(event.case);
        if (event.case === "chunk") break;
      }
      assert.deepStrictEqual(events, ["started", "chunk"], name);
    }
  });

  it("a caller that leaves ends its call, however it leaves", async (context) => {
    await using behind = await startBehind(context, start);
    let ended = 0;
    for (const how of ["end", "destroy", "reset"] as const) {
      using connection = new RawHttp2(behind.proxy.port);
      const message = toBinary(GenerateRequestSchema, create(GenerateRequestSchema, taskOf("silent")));
      connection.call(1, "/mlxd.v1.GenerationService/StreamGenerate", envelope(message));
      await connection.until(({ type }) => type === frameTypes.data);
      if (how === "reset") connection.socket.resetAndDestroy();
      else connection.socket[how]();
      await log.until("ended", ++ended);
    }
    for (const [name, transport] of Object.entries(transportsOf(behind.proxy))) {
      const controller = new AbortController();
      const client = createClient(GenerationService, transport);
      // An HTTP/1.1 peer that closes may still read, for all that HAProxy knows, until something is written to it.
      const task = taskOf(name === "gRPC" ? "silent" : "endless");
      const failed = errorOf(collect(client.streamGenerate(task, { signal: controller.signal })));
      await log.until("started", ended + 1);
      controller.abort();
      await failed;
      await log.until("ended", ++ended);
    }
  });
});

describe("a call that waits for longer than the proxy allows silence", { timeout: 300_000 }, () => {
  it.concurrent("HAProxy with 30 s: streams of Connect and gRPC-Web are kept, by what is sent after 10 s", async (context) => {
    await using behind = await startBehind(context, startHaproxy, [[/timeout server 1h/, "timeout server 30s"]]);
    const transports = transportsOf(behind.proxy);
    const outcome = (name: string) => outcomeOf(transports[name], "wait 34000");
    const [web, connect, json, grpc] = await Promise.all(["gRPC-Web", "Connect", "Connect JSON", "gRPC"].map(outcome));
    assert.deepStrictEqual([web, connect, json], ["finished", "finished", "finished"]);
    // And so the proxy does cut what sends nothing.
    assert.match(grpc ?? "", /unavailable|deadline_exceeded|unknown/);
  });

  const sixSeconds: Edits = [
    [/grpc_read_timeout 1h/, "grpc_read_timeout 6s"],
    [/proxy_read_timeout 1h/, "proxy_read_timeout 6s"],
  ];

  it.concurrent.for<[string, StartProxy, Edits]>([
    ["nginx", startNginx, sixSeconds],
    ["Envoy", startEnvoy, [[/idle_timeout: 3600s/, "idle_timeout: 6s"]]],
  ])("%s: streams of Connect and gRPC-Web are kept, gRPC is not", async ([, start, edits], context) => {
    await using behind = await startBehind(context, start, edits, { earlyHeadersMs: 2000 });
    const transports = transportsOf(behind.proxy);
    const outcome = (name: string) => outcomeOf(transports[name], "wait 7000");
    const [web, connect, json, grpc] = await Promise.all(["gRPC-Web", "Connect", "Connect JSON", "gRPC"].map(outcome));
    assert.deepStrictEqual([web, connect, json], ["finished", "finished", "finished"]);
    assert.match(grpc ?? "", /unavailable|deadline_exceeded|unknown/);
  });

  it.concurrent("nginx: gRPC is kept where it is configured, unary calls as well", async (context) => {
    await using behind = await startBehind(context, startNginx, sixSeconds, { grpcEarlyHeadersMs: 2000 });
    const { gRPC: transport } = transportsOf(behind.proxy);
    const unary = createClient(GenerationService, transport as Transport).generate(taskOf("wait 7000"));
    assert.strictEqual(await outcomeOf(transport, "wait 7000"), "finished");
    assert.strictEqual((await unary).result?.candidates[0]?.text, "ab");
  });
});
