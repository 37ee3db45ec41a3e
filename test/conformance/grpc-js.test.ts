/** The reference client of gRPC on Node, which shares no code with ours. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { Effect, Stream } from "effect";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { StatusSchema } from "../../src/client/gen/google/rpc/status_pb.ts";
import {
  GenerateRequestSchema,
  GenerateResponseSchema,
  GenerationService,
  type StreamGenerateResponse,
  StreamGenerateResponseSchema,
} from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { QueueFull } from "../../src/service/domain/errors.ts";
import { EventLog } from "../support/event-log.ts";
import { chunk, eventsOf, promptOf, started } from "../support/scripted-generations.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";

const pathOf = (method: keyof typeof GenerationService.method) =>
  `/${GenerationService.typeName}/${GenerationService.method[method].name}`;

const request = (prompt: string) =>
  toBinary(
    GenerateRequestSchema,
    create(GenerateRequestSchema, { task: { input: { case: "prompt", value: prompt } } }),
  );
const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes);

let server: TestServer;
let client: grpc.Client;
const log = new EventLog();
beforeAll(async () => {
  server = await startTestServer({
    stream: (task) => {
      switch (promptOf(task)) {
        case "full":
          return Stream.fail(new QueueFull({ model: "demo", limit: 1, retryAfterMs: 250 }));
        case "endless":
          return Stream.concat(Stream.make(started, chunk("a", 1)), Stream.never).pipe(
            Stream.onExit(() => Effect.sync(() => log.add("ended"))),
          );
        default:
          return Stream.fromIterable(eventsOf(["a", "b", "c"]));
      }
    },
  });
  client = new grpc.Client(`127.0.0.1:${server.port}`, grpc.credentials.createInsecure());
});
afterAll(async () => {
  client.close();
  await server.close();
});

const stream = (prompt: string) =>
  client.makeServerStreamRequest(
    pathOf("streamGenerate"),
    asBuffer,
    (bytes) => fromBinary(StreamGenerateResponseSchema, bytes),
    request(prompt),
  );

const unary = (prompt: string, options: grpc.CallOptions = {}) =>
  new Promise<string>((resolve, reject) => {
    const decode = (bytes: Buffer) => fromBinary(GenerateResponseSchema, bytes);
    client.makeUnaryRequest(pathOf("generate"), asBuffer, decode, request(prompt), options, (error, answer) => {
      if (error) reject(error);
      else resolve(answer?.result?.candidates[0]?.text ?? "");
    });
  });

const failure = async (call: Promise<unknown>): Promise<grpc.ServiceError> => {
  try {
    await call;
  } catch (error) {
    return error as grpc.ServiceError;
  }
  throw new Error("the call did not fail");
};

describe("grpc-js", () => {
  it("gets a result and a stream", async () => {
    assert.strictEqual(await unary("x"), "abc");
    const events: StreamGenerateResponse[] = [];
    for await (const event of stream("x") as AsyncIterable<StreamGenerateResponse>) events.push(event);
    assert.deepStrictEqual(
      events.map(({ event }) => event.case),
      ["started", "chunk", "chunk", "chunk", "finished"],
    );
  });

  it("reads status, details and when to retry", async () => {
    const error = await failure(unary("full"));
    assert.strictEqual(error.code, grpc.status.RESOURCE_EXHAUSTED);
    assert.strictEqual(error.details, '1 generations already wait for model "demo"; try again in 250 ms');
    assert.deepStrictEqual(error.metadata.get("grpc-retry-pushback-ms"), ["250"]);
    const [encoded] = error.metadata.get("grpc-status-details-bin");
    const status = fromBinary(StatusSchema, encoded as Buffer);
    assert.deepStrictEqual(
      status.details.map(({ typeUrl }) => typeUrl.split("/")[1]),
      ["google.rpc.ErrorInfo", "google.rpc.RetryInfo"],
    );
  });

  it("cancels a stream, which stops the generation", async () => {
    const call = stream("endless");
    const code = new Promise((resolve) => call.on("error", (error: grpc.ServiceError) => resolve(error.code)));
    call.on("data", () => call.cancel());
    assert.strictEqual(await code, grpc.status.CANCELLED);
    await log.until("ended");
  });

  it("has its deadline kept", async () => {
    const error = await failure(unary("endless", { deadline: Date.now() + 100 }));
    assert.strictEqual(error.code, grpc.status.DEADLINE_EXCEEDED);
    await log.until("ended", 2);
  });

  it("is told of a method that is not there", async () => {
    const call = new Promise((_resolve, reject) => {
      client.makeUnaryRequest("/mlxd.v1.JobService/NoSuchMethod", asBuffer, asBuffer, Buffer.alloc(0), (error) =>
        reject(error ?? new Error("no error")),
      );
    });
    assert.strictEqual((await failure(call)).code, grpc.status.UNIMPLEMENTED);
  });

  it("keeps a connection that pings often", async () => {
    const pinging = new grpc.Client(`127.0.0.1:${server.port}`, grpc.credentials.createInsecure(), {
      "grpc.keepalive_time_ms": 20,
      "grpc.keepalive_permit_without_calls": 1,
    });
    await new Promise<void>((resolve, reject) =>
      pinging.waitForReady(Date.now() + 5000, (error) => (error ? reject(error) : resolve())),
    );
    const channel = pinging.getChannel();
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.strictEqual(channel.getConnectivityState(false), grpc.connectivityState.READY);
    pinging.close();
  });
});
