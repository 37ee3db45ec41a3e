/** A server that answers a stream's call with whatever bytes it is told to, on HTTP/1.1 or HTTP/2. */
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { StreamGenerateResponseSchema } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import type { WireEvent } from "./scripted-server.ts";

export interface HostileAnswer {
  /** The body, in these pieces. */
  readonly body: readonly Uint8Array[];
  /** How it ends: in good order, in good order but without what says so, broken off, or not at all. */
  readonly end: "ok" | "no-trailers" | "cut" | "never";
}

export interface HostileServer extends AsyncDisposable {
  readonly url: string;
}

/** What is around a message on the wire of gRPC and of Connect's streams. */
export const framed = (message: Uint8Array, flags = 0, length = message.byteLength): Uint8Array => {
  const frame = Buffer.alloc(5 + message.byteLength);
  frame.writeUInt8(flags, 0);
  frame.writeUInt32BE(length, 1);
  frame.set(message, 5);
  return frame;
};

export const encoded = (event: WireEvent): Uint8Array =>
  toBinary(StreamGenerateResponseSchema, create(StreamGenerateResponseSchema, event));

const endStream = framed(Buffer.from("{}"), 2);

export const startHostileServer = async (httpVersion: "1.1" | "2", answer: HostileAnswer): Promise<HostileServer> => {
  const sockets = new Set<{ destroy: () => void }>();
  const server = httpVersion === "2" ? http2.createServer() : http.createServer();
  server.on("connection", (socket: { destroy: () => void }) => sockets.add(socket));
  if (httpVersion === "2")
    server.on("stream", (stream: http2.ServerHttp2Stream, headers) => overHttp2(stream, headers, answer));
  else
    server.on("request", (request: http.IncomingMessage, response: http.ServerResponse) =>
      overHttp1(request, response, answer),
    );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
};

const overHttp2 = (
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
  { body, end }: HostileAnswer,
) => {
  const contentType = headers["content-type"] ?? "";
  const isGrpc = contentType.startsWith("application/grpc");
  stream.on("error", () => {});
  stream.resume();
  stream.respond({ ":status": 200, "content-type": contentType }, { waitForTrailers: isGrpc && end === "ok" });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  for (const piece of body) stream.write(piece);
  if (end === "ok" && !isGrpc) stream.write(endStream);
  if (end === "cut") stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
  else if (end !== "never") stream.end();
};

const overHttp1 = (request: http.IncomingMessage, response: http.ServerResponse, { body, end }: HostileAnswer) => {
  request.resume();
  response.writeHead(200, { "content-type": request.headers["content-type"] ?? "" });
  for (const piece of body) response.write(piece);
  if (end === "ok") response.write(endStream);
  if (end === "cut") response.destroy();
  else if (end !== "never") response.end();
};
