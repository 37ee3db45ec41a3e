/** Every way in which a client can speak to the server. */
import type { Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";

export interface NamedTransport {
  readonly name: string;
  readonly create: (baseUrl: string) => Transport;
}

/** Where the protocol does not matter. */
export const grpc: NamedTransport = { name: "gRPC", create: (baseUrl) => createGrpcTransport({ baseUrl }) };

export const transports: ReadonlyArray<NamedTransport> = [
  grpc,
  {
    name: "gRPC-Web on HTTP/1.1",
    create: (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: true }),
  },
  {
    name: "gRPC-Web on HTTP/2",
    create: (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "2", useBinaryFormat: true }),
  },
  ...(["1.1", "2"] as const).flatMap((httpVersion) =>
    [true, false].map((useBinaryFormat) => ({
      name: `Connect ${useBinaryFormat ? "binary" : "JSON"} on HTTP/${httpVersion}`,
      create: (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion, useBinaryFormat }),
    })),
  ),
];
