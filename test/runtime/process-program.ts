/**
 * What test/runtime/runtimes.test.ts runs in a process of Node, Deno or Bun, from a folder where the package is installed:
 * `program.ts KIND URL CANCELS`. Prints its findings as JSON.
 */
import type { MlxdClient } from "../../src/client/index.ts";
import { behave, type Entry } from "./behaviour.ts";

declare const process: { readonly argv: readonly string[] };
const [, , kind = "", baseUrl = "", cancels = "0"] = process.argv;

type Loaded = Entry & Record<string, (...args: never[]) => unknown>;
const load = async (name: string): Promise<Loaded> => (await import(name)) as Loaded;
const make = (entry: Loaded, name: string, ...args: unknown[]) => entry[name]?.(...(args as never[]));

const open = async (): Promise<{ client: MlxdClient; entry: Entry }> => {
  switch (kind) {
    case "fetch": {
      const entry = await load("@mlxd/client");
      return { entry, client: make(entry, "createMlxdClient", { baseUrl }) as MlxdClient };
    }
    case "grpc-js": {
      const entry = await load("@mlxd/client/grpc");
      return { entry, client: make(entry, "createMlxdClient", { target: new URL(baseUrl).host }) as MlxdClient };
    }
    case "grpc-web": {
      const [entry, connect] = [await load("@mlxd/client"), await load("@connectrpc/connect-node")];
      const transport = make(connect, "createGrpcWebTransport", { baseUrl, httpVersion: "1.1" });
      return { entry, client: make(entry, "createMlxdClientFromTransport", transport) as MlxdClient };
    }
    default: {
      const entry = await load("@mlxd/client/node");
      return { entry, client: make(entry, "createMlxdClient", { baseUrl, protocol: kind }) as MlxdClient };
    }
  }
};

const { client, entry } = await open();
const findings = await behave(client, entry, Number(cancels));
client.close();
// eslint-disable-next-line no-console -- this is how it answers
console.log(JSON.stringify(findings));
