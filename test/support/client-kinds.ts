/** Every way in which the client speaks to a service, with the server that it needs. */
import type { ClientOptions, MlxdClient } from "../../src/client/index.ts";
import { createMlxdClient as createGrpcClient } from "../../src/client/grpc/index.ts";
import { createMlxdClient as createNodeClient } from "../../src/client/node.ts";
import { createMlxdClient as createWebClient } from "../../src/client/web.ts";
import { type Script, type ScriptedServer, startScriptedServer } from "./scripted-server.ts";

export interface ClientKind {
  readonly name: string;
  readonly httpVersion: "1.1" | "2";
  readonly createClient: (baseUrl: string, options?: ClientOptions) => MlxdClient;
}

export const clientKinds: readonly ClientKind[] = [
  { name: "gRPC", httpVersion: "2", createClient: (baseUrl, options) => createNodeClient({ baseUrl, ...options }) },
  {
    name: "Connect on HTTP/2",
    httpVersion: "2",
    createClient: (baseUrl, options) => createNodeClient({ baseUrl, protocol: "connect", ...options }),
  },
  {
    name: "Connect on HTTP/1.1",
    httpVersion: "1.1",
    createClient: (baseUrl, options) => createNodeClient({ baseUrl, protocol: "connect-http1", ...options }),
  },
  {
    name: "grpc-js",
    httpVersion: "2",
    createClient: (baseUrl, options) => createGrpcClient({ target: new URL(baseUrl).host, ...options }),
  },
  { name: "fetch", httpVersion: "1.1", createClient: (baseUrl, options) => createWebClient({ baseUrl, ...options }) },
  {
    name: "fetch with JSON",
    httpVersion: "1.1",
    createClient: (baseUrl, options) => createWebClient({ baseUrl, format: "json", ...options }),
  },
];

export interface Pair extends AsyncDisposable {
  readonly client: MlxdClient;
  readonly server: ScriptedServer;
}

/** A server that plays a script, and a client of this kind that does not try again unless its options say so. */
export const connect = async (kind: ClientKind, script: Script, options: ClientOptions = {}): Promise<Pair> => {
  const server = await startScriptedServer({ httpVersion: kind.httpVersion, ...script });
  const client = kind.createClient(server.url, { retry: false, ...options });
  return {
    client,
    server,
    [Symbol.asyncDispose]: async () => {
      client.close();
      await server[Symbol.asyncDispose]();
    },
  };
};
