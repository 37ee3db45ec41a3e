/** Every kind of client asks the real service and the demo model for 2+2, in one answer and as a stream. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest";
import * as grpc from "@grpc/grpc-js";

import {
  GenerateRequestSchema,
  type GenerateResponse,
  GenerateResponseSchema,
  GenerationService,
  StreamGenerateRequestSchema,
  type StreamGenerateResponse,
  StreamGenerateResponseSchema,
} from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { type GenerationTaskSchema, Role } from "../../src/client/gen/mlxd/v1/types_pb.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { grpcurl, noGrpcurl } from "../support/tools.ts";

let service: RunningService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const task = {
  input: {
    case: "chat",
    value: {
      messages: [{ role: Role.USER, content: [{ part: { case: "text", value: "What is 2+2?" } }] }],
    },
  },
  sampling: { seed: 7 },
} satisfies MessageInitShape<typeof GenerationTaskSchema>;

const jsonTask = {
  chat: { messages: [{ role: "ROLE_USER", content: [{ text: "What is 2+2?" }] }] },
  sampling: { seed: 7 },
};

/** Asks both ways; gives both texts. */
interface Texts {
  readonly unary: string;
  readonly streamed: string;
}

const textOf = (response: GenerateResponse): string => response.result?.candidates[0]?.text ?? "";
const deltaOf = ({ event }: StreamGenerateResponse): string => (event.case === "chunk" ? event.value.text : "");

const assertRight = ({ unary, streamed }: Texts): void => {
  assert.match(unary, /\b4\b/);
  assert.strictEqual(streamed, unary);
};

const overConnect = async (transport: Transport): Promise<Texts> => {
  const client = createClient(GenerationService, transport);
  const unary = textOf(await client.generate({ task }));
  let streamed = "";
  for await (const response of client.streamGenerate({ task })) streamed += deltaOf(response);
  return { unary, streamed };
};

const run = promisify(execFile);

describe("the demo model knows 2+2", () => {
  const transports: ReadonlyArray<readonly [string, (baseUrl: string) => Transport]> = [
    ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl })],
    ["gRPC-Web over HTTP/1.1", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
    ["gRPC-Web over HTTP/2", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "2" })],
    ["Connect over HTTP/1.1", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
    ["Connect over HTTP/2", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" })],
    [
      "Connect with binary messages",
      (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: true }),
    ],
  ];
  for (const [name, transport] of transports) {
    it(`for ${name}`, async () => assertRight(await overConnect(transport(service.url))));
  }

  it("for grpc-js", async () => {
    const client = new grpc.Client(`127.0.0.1:${service.port}`, grpc.credentials.createInsecure());
    const unary = await new Promise<string>((resolve, reject) => {
      client.makeUnaryRequest(
        "/mlxd.v1.GenerationService/Generate",
        () => Buffer.from(toBinary(GenerateRequestSchema, create(GenerateRequestSchema, { task }))),
        (bytes) => fromBinary(GenerateResponseSchema, bytes),
        null,
        (error, response) =>
          response === undefined ? reject(error ?? new Error("no answer")) : resolve(textOf(response)),
      );
    });
    const stream = client.makeServerStreamRequest(
      "/mlxd.v1.GenerationService/StreamGenerate",
      () => Buffer.from(toBinary(StreamGenerateRequestSchema, create(StreamGenerateRequestSchema, { task }))),
      (bytes) => fromBinary(StreamGenerateResponseSchema, bytes),
      null,
    );
    let streamed = "";
    for await (const response of stream as AsyncIterable<StreamGenerateResponse>) streamed += deltaOf(response);
    client.close();
    assertRight({ unary, streamed });
  });

  it("for curl with JSON", async () => {
    const { stdout } = await run("curl", [
      "-sS",
      `${service.url}/mlxd.v1.GenerationService/Generate`,
      "-H",
      "content-type: application/json",
      "-d",
      JSON.stringify({ task: jsonTask }),
    ]);
    const answer = JSON.parse(stdout) as { result: { candidates: ReadonlyArray<{ text: string }> } };
    assert.match(answer.result.candidates[0]?.text ?? "", /\b4\b/);
  });

  it("for grpcurl, which learns the API by reflection", async (context) => {
    const program = await grpcurl();
    if (program === undefined) return context.skip(noGrpcurl);
    const call = async (method: string): Promise<string> => {
      const data = JSON.stringify({ task: jsonTask });
      const args = ["-plaintext", "-d", data, `127.0.0.1:${service.port}`, `mlxd.v1.GenerationService/${method}`];
      return (await run(program, args)).stdout;
    };
    const unary = JSON.parse(await call("Generate")) as { result: { candidates: ReadonlyArray<{ text: string }> } };
    const events = (await call("StreamGenerate")).matchAll(/"text": ("(?:[^"\\]|\\.)*")/g);
    const streamed = [...events].map(([, text = '""']) => JSON.parse(text) as string).join("");
    assertRight({ unary: unary.result.candidates[0]?.text ?? "", streamed });
  });
});
