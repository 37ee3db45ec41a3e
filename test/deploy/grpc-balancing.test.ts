/** Two real hosts and no proxy: the client over grpc-js balances for itself, with the configuration of docs/balancing.md. */
import { readFileSync } from "node:fs";
import { credentials as channelCredentials } from "@grpc/grpc-js";
import { afterAll, assert, beforeAll, describe, it, type TestContext } from "vitest";

import type { MlxdClient } from "../../src/client/client.ts";
import { createMlxdClient } from "../../src/client/grpc/index.ts";
import { drainUnderLoad, outcomesOfKill, splitOf } from "../support/balanced-calls.ts";
import { SecuredHosts } from "../support/secured-hosts.ts";

const page = readFileSync(new URL("../../docs/balancing.md", import.meta.url), "utf8");
const serviceConfig = JSON.stringify(JSON.parse(/^```json\n(.*?)^```$/ms.exec(page)?.[1] ?? ""));
const slots = [8, 2] as const;

describe("two hosts and a client that balances for itself", { timeout: 300_000 }, () => {
  const secured = new SecuredHosts(slots);
  let problem: string | undefined;
  const clients: MlxdClient[] = [];

  const client = (config = serviceConfig): MlxdClient => {
    const made = createMlxdClient({
      target: `ipv4:${secured.ports.map((port) => `127.0.0.1:${port}`).join(",")}`,
      channelCredentials: channelCredentials.createSsl(readFileSync(`${secured.folder}/ca.crt`)),
      channelOptions: { "grpc.service_config": config, "grpc.ssl_target_name_override": "mlxd.internal" },
      credentials: secured.read("ci.key"),
      retry: { maxAttempts: 5 },
    });
    clients.push(made);
    return made;
  };

  beforeAll(async () => {
    problem = await secured.prepare({ open: ["load"] });
    if (problem === undefined) await secured.start();
  }, 300_000);
  afterAll(async () => {
    for (const one of clients) one.close();
    await secured[Symbol.asyncDispose]();
  });

  const ready = async (context: TestContext): Promise<void> => {
    if (problem !== undefined) return context.skip(problem);
    await secured.start();
  };

  it("gives hosts work by what they report", async (context) => {
    await ready(context);
    const own = client();
    // The first reports are of hosts that do nothing.
    await splitOf(own, secured.hosts, 40);
    const { answered } = await splitOf(own, secured.hosts, 80);
    await context.annotate(`split ${answered.join(":")}`);
    const [large = 0, small = 0] = answered;
    assert.isAbove(large, small * 1.5);
    assert.isAbove(small, 0);
  });

  it("loses nothing of a host that drains", async (context) => {
    await ready(context);
    assert.strictEqual(await drainUnderLoad(client(), secured.host(1), 40, 12), 0);
  });

  it("loses of a host that is killed the streams that had begun there", async (context) => {
    await ready(context);
    const { failed, answered } = await outcomesOfKill(client(), secured.host(1), 40, 12);
    await context.annotate(`${failed} of ${failed + answered} failed`);
    assert.isAbove(failed, 0, "the host was killed while it streamed");
  });
});
