/** A service that answers a call with a call: its deadline, its cancellation and its trace go on. */
import { once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { createRouterTransport } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";
import { assert, describe, it } from "vitest";
import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { createMlxdClient as createGrpcClient } from "../../src/client/grpc/index.ts";
import { type CallOptions, createMlxdClientFromTransport, optionsOfIncoming } from "../../src/client/index.ts";
import { createMlxdClient } from "../../src/client/node.ts";

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const headers = { traceparent, authorization: "Bearer secret", "x-own": "1" };

const assertPassedOn = ({ signal, timeoutMs = 0, headers: sent }: CallOptions): void => {
  assert.isFalse(signal?.aborted);
  assert.isAbove(timeoutMs, 50_000);
  assert.isAtMost(timeoutMs, 60_000);
  assert.deepEqual(sent, { traceparent });
};

describe("the options of a call that answers another", () => {
  it("are those of Connect's context", async () => {
    let passedOn: CallOptions = {};
    const transport = createRouterTransport(({ service }) => {
      service(GenerationService, {
        generate: (_request, context) => {
          passedOn = optionsOfIncoming(context);
          return { result: { candidates: [{ text: "ok" }] } };
        },
      });
    });
    const client = createMlxdClientFromTransport(transport);
    await client.generate("hi", { timeoutMs: 60_000, headers });
    assert.isTrue(passedOn.signal?.aborted, "Connect's own signal fires at the end, too");
    assertPassedOn({ ...passedOn, signal: new AbortController().signal });
    await client.generate("hi");
    assert.isUndefined(passedOn.timeoutMs);
  });

  it("are those of a call of grpc-js, and its cancellation", async () => {
    const server = new grpc.Server();
    let incoming: (call: grpc.ServerUnaryCall<Buffer, Buffer>) => void = () => {};
    const arrived = new Promise<grpc.ServerUnaryCall<Buffer, Buffer>>((resolve) => (incoming = resolve));
    const definition = {
      path: "/mlxd.v1.GenerationService/Generate",
      requestStream: false,
      responseStream: false,
      requestSerialize: (bytes: Buffer) => bytes,
      requestDeserialize: (bytes: Buffer) => bytes,
      responseSerialize: (bytes: Buffer) => bytes,
      responseDeserialize: (bytes: Buffer) => bytes,
    };
    server.addService(
      { generate: definition },
      { generate: (call: grpc.ServerUnaryCall<Buffer, Buffer>) => incoming(call) },
    );
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    using client = createGrpcClient({ target: `127.0.0.1:${port}` });
    const controller = new AbortController();
    const { signal } = controller;
    const failed = client.generate("hi", { timeoutMs: 60_000, headers, signal }).catch((error: unknown) => error);
    const passedOn = optionsOfIncoming(await arrived);
    assertPassedOn(passedOn);
    const left =
      passedOn.signal === undefined ? Promise.reject(new Error("no signal")) : once(passedOn.signal, "abort");
    controller.abort();
    await left;
    await failed;
    server.forceShutdown();
  });

  it("are those of a request, by the headers of Connect or gRPC", () => {
    const request = (more: Record<string, string>) =>
      optionsOfIncoming(new Request("http://localhost/", { headers: { ...headers, ...more } }));
    assertPassedOn(request({ "connect-timeout-ms": "60000" }));
    assertPassedOn(request({ "grpc-timeout": "1M" }));
    assert.equal(request({ "grpc-timeout": "1500u" }).timeoutMs, 1.5);
    assert.equal(request({ "connect-timeout-ms": "0" }).timeoutMs, 1);
    for (const value of ["", "x", "1", "123456789S"]) assert.isUndefined(request({ "grpc-timeout": value }).timeoutMs);
    assert.throws(() => optionsOfIncoming({} as never), "call: it is not the context of a Connect handler");
  });

  it("end a call of the real chain when the first caller leaves", async () => {
    let left: () => void = () => {};
    const isLeft = new Promise<void>((resolve) => (left = resolve));
    const serve = async (handle: (options: CallOptions) => Promise<string>) => {
      const server = http2.createServer(
        connectNodeAdapter({
          routes: ({ service }) => {
            service(GenerationService, {
              generate: async (_request, context) => ({
                result: { candidates: [{ text: await handle(optionsOfIncoming(context)) }] },
              }),
            });
          },
        }),
      );
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
    };
    const inner = await serve(({ signal }) => new Promise<string>(() => signal?.addEventListener("abort", left)));
    using client = createMlxdClient({ baseUrl: inner.url });
    const outer = await serve(async (options) => (await client.generate("hi", options)).text);
    using caller = createMlxdClient({ baseUrl: outer.url });
    await caller.generate("hi", { timeoutMs: 300 }).catch(() => {});
    await isLeft;
    inner.server.close();
    outer.server.close();
  });
});
