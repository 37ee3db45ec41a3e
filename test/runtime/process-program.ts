/**
 * What test/runtime/runtimes.test.ts runs in a process of Node, Deno or Bun, from a folder where the package is installed:
 * `program.ts KIND URL CANCELS`, or `program.ts KIND URL front CONTROL`. Prints its findings as JSON.
 */
import type { MlxdClient } from "../../src/client/index.ts";
import { behave, type Entry } from "./behaviour.ts";
import { behaveBehindFront } from "./front-behaviour.ts";

declare const process: { readonly argv: readonly string[] };
const [, , kind = "", baseUrl = "", cancels = "0", controlUrl = ""] = process.argv;

type Loaded = Entry & Record<string, (...args: never[]) => unknown>;
const load = async (name: string): Promise<Loaded> => (await import(name)) as Loaded;
const make = (entry: Loaded, name: string, ...args: unknown[]) => entry[name]?.(...(args as never[])) as MlxdClient;

/** The entry that speaks this kind, and how it makes a client. */
const prepare = async (): Promise<{ entry: Entry; open: (credentials?: string) => MlxdClient }> => {
  switch (kind) {
    case "fetch": {
      const entry = await load("@mlxd/client");
      return { entry, open: (credentials) => make(entry, "createMlxdClient", { baseUrl, credentials }) };
    }
    case "grpc-js": {
      const [entry, grpc] = [await load("@mlxd/client/grpc"), await load("@grpc/grpc-js")];
      const secured = grpc["credentials"] as unknown as { readonly createSsl: () => unknown };
      const channelCredentials = baseUrl.startsWith("https:") ? secured.createSsl() : undefined;
      // grpc-js names even addresses in its TLS handshake, which Node 26 refuses.
      const target = new URL(baseUrl).host.replace("127.0.0.1", "localhost");
      return {
        entry,
        open: (credentials) => make(entry, "createMlxdClient", { target, channelCredentials, credentials }),
      };
    }
    case "grpc-web": {
      const [entry, connect] = [await load("@mlxd/client"), await load("@connectrpc/connect-node")];
      const transport = make(connect, "createGrpcWebTransport", { baseUrl, httpVersion: "1.1" });
      return { entry, open: (credentials) => make(entry, "createMlxdClientFromTransport", transport, { credentials }) };
    }
    default: {
      const entry = await load("@mlxd/client/node");
      return {
        entry,
        open: (credentials) => make(entry, "createMlxdClient", { baseUrl, protocol: kind, credentials }),
      };
    }
  }
};

const { entry, open } = await prepare();
const findings =
  controlUrl === "" ? await behave(open(), entry, Number(cancels)) : await behaveBehindFront(open, entry, controlUrl);
// eslint-disable-next-line no-console -- this is how it answers
console.log(JSON.stringify(findings));
