/**
 * gRPC clients retry by policy, but only a call of which they have no headers: an error that goes out as headers and then
 * trailers is final for them. QUEUE_FULL, DRAINING and ENGINE_RESTARTING reached users whose clients had such a policy.
 */
import { once } from "node:events";
import { connect, constants, type IncomingHttpHeaders } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { Effect, Stream } from "effect";
import { afterAll, assert, beforeAll, beforeEach, describe, it } from "vitest";

import { ErrorInfoSchema } from "../../src/client/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../src/client/gen/google/rpc/status_pb.ts";
import { GenerateRequestSchema, GenerateResponseSchema } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { Draining, EngineRestarting, QueueFull, type ServiceError } from "../../src/service/domain/errors.ts";
import { Drain } from "../../src/service/server/Drain.ts";
import { envelope } from "../support/raw-http.ts";
import { eventsOf, promptOf } from "../support/scripted-generations.ts";
import { assertMatches } from "../support/assert-matches.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";

/** Not what the policy below would wait: a client that goes by its policy comes after this test's time. */
const retryAfterMs = 50;

const errors: Readonly<Record<string, ServiceError>> = {
  QUEUE_FULL: new QueueFull({ model: "demo", limit: 1, retryAfterMs }),
  DRAINING: new Draining({ retryAfterMs }),
  ENGINE_RESTARTING: new EngineRestarting({ model: "demo", retryAfterMs }),
};

let server: TestServer;
let refusalsLeft = 0;
let attempts = 0;
beforeAll(async () => {
  server = await startTestServer({
    stream: (task) =>
      Stream.suspend(() => {
        attempts += 1;
        const error = errors[promptOf(task)];
        if (error === undefined || refusalsLeft === 0) return Stream.fromIterable(eventsOf(["a", "b"]));
        refusalsLeft -= 1;
        return Stream.fail(error);
      }),
  });
});
afterAll(() => server.close());
beforeEach(() => {
  refusalsLeft = 2;
  attempts = 0;
});

const methods = ["Generate", "StreamGenerate"];
const cases = methods.flatMap((method) => Object.keys(errors).map((reason) => ({ method, reason })));
const path = (method: string) => `/mlxd.v1.GenerationService/${method}`;
const request = (prompt: string) =>
  Buffer.from(
    toBinary(
      GenerateRequestSchema,
      create(GenerateRequestSchema, { task: { input: { case: "prompt", value: prompt } } }),
    ),
  );

const serviceConfig = JSON.stringify({
  methodConfig: [
    {
      name: [{ service: "mlxd.v1.GenerationService" }],
      retryPolicy: {
        maxAttempts: 5,
        initialBackoff: "3600s",
        maxBackoff: "3600s",
        backoffMultiplier: 1,
        retryableStatusCodes: ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
      },
    },
  ],
});

const callThrough = (client: grpc.Client, method: string, prompt: string): Promise<number> => {
  const asIs = (bytes: Buffer) => bytes;
  if (method === "Generate") {
    return new Promise((resolve, reject) => {
      const decode = (bytes: Buffer) => fromBinary(GenerateResponseSchema, bytes);
      client.makeUnaryRequest(path(method), asIs, decode, request(prompt), (error, answer) =>
        error ? reject(error) : resolve(answer?.result?.candidates.length ?? 0),
      );
    });
  }
  return new Promise((resolve, reject) => {
    let messages = 0;
    client
      .makeServerStreamRequest(path(method), asIs, asIs, request(prompt))
      .on("data", () => (messages += 1))
      .on("end", () => resolve(messages))
      .on("error", reject);
  });
};

const withClient = async (use: (client: grpc.Client) => Promise<void>): Promise<void> => {
  const client = new grpc.Client(`127.0.0.1:${server.port}`, grpc.credentials.createInsecure(), {
    "grpc.service_config": serviceConfig,
  });
  try {
    await use(client);
  } finally {
    client.close();
  }
};

describe("grpc-js with a retry policy", () => {
  it.each(cases)("is answered by $method after $reason twice, when it was told to come", async ({ method, reason }) => {
    await withClient(async (client) => {
      assert.strictEqual(await callThrough(client, method, reason), method === "Generate" ? 1 : 4);
      assert.strictEqual(attempts, 3);
    });
  });

  it.each(methods)("%s outlives a restart: what drains sends it on to what comes after", async (method) => {
    const first = await startTestServer();
    let second: TestServer | undefined;
    const client = new grpc.Client(`127.0.0.1:${first.port}`, grpc.credentials.createInsecure(), {
      "grpc.service_config": serviceConfig,
    });
    try {
      await new Promise<void>((resolve, reject) =>
        client.waitForReady(Date.now() + 10_000, (error) => (error ? reject(error) : resolve())),
      );
      await first.runtime.runPromise(Effect.flatMap(Drain, ({ begin }) => begin));
      const answer = callThrough(client, method, "x");
      // It has been told to come back in a second; by then another one listens there.
      await new Promise((resolve) => setTimeout(resolve, 100));
      await first.close();
      second = await startTestServer({ config: { port: first.port } });
      assert.isAbove(await answer, 0);
    } finally {
      client.close();
      await first.close();
      await second?.close();
    }
  });
});

describe("an error before the first message", () => {
  it.each(cases)("of $method with $reason is one frame with all there is to say", async ({ method, reason }) => {
    const session = connect(`http://127.0.0.1:${server.port}`);
    try {
      const headers = { ":method": "POST", ":path": path(method), "content-type": "application/grpc", te: "trailers" };
      const stream = session.request(headers);
      stream.end(envelope(request(reason)));
      const [received, flags] = (await once(stream, "response")) as [IncomingHttpHeaders, number];
      assert.notStrictEqual(flags & constants.NGHTTP2_FLAG_END_STREAM, 0);
      assertMatches(received, {
        ":status": 200,
        "content-type": "application/grpc+proto",
        "grpc-status": reason === "QUEUE_FULL" ? "8" : "14",
        "grpc-retry-pushback-ms": String(retryAfterMs),
      });
      const status = fromBinary(StatusSchema, Buffer.from(String(received["grpc-status-details-bin"]), "base64"));
      const [info] = status.details;
      assert.strictEqual(info && anyUnpack(info, ErrorInfoSchema)?.reason, reason);
      assert.include(
        status.details.map(({ typeUrl }) => typeUrl),
        "type.googleapis.com/google.rpc.RetryInfo",
      );
    } finally {
      session.close();
    }
  });

  it("does not wait for an upload that goes on, and stops it", async () => {
    const session = connect(`http://127.0.0.1:${server.port}`);
    try {
      const headers = { ":method": "POST", ":path": "/mlxd.v1.Nothing/At", "content-type": "application/grpc" };
      const stream = session.request(headers);
      stream.write(Buffer.alloc(10));
      const [received] = (await once(stream, "response")) as [IncomingHttpHeaders];
      assert.strictEqual(received["grpc-status"], "12");
      stream.resume();
      await once(stream, "close");
      assert.strictEqual(stream.rstCode, constants.NGHTTP2_NO_ERROR);
    } finally {
      session.close();
    }
  });
});
