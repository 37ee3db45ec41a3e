/** Two real hosts behind Envoy with deploy/envoy/envoy.yaml, and with its variant for load reports; only addresses, files and slots are others. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it, type TestContext } from "vitest";
import { parse, stringify } from "yaml";

import type { NodeClientOptions } from "../../src/client/node.ts";
import { splitOf } from "../support/balanced-calls.ts";
import { itServesAsOneHost } from "../support/balanced-hosts.ts";
import { envoyWith, type RunningProxy } from "../support/proxies.ts";
import { SecuredHosts } from "../support/secured-hosts.ts";
import { until } from "../support/until.ts";
import { freePort } from "../support/free-port.ts";

const read = (name: string): string => readFileSync(new URL(`../../deploy/envoy/${name}`, import.meta.url), "utf8");
const slots = [8, 2] as const;

/** As orca.yaml says: its policy instead of the cluster's own. */
const withLoadReports = (text: string): string => {
  const whole = parse(text, { maxAliasCount: -1 });
  const { lb_policy: _, least_request_lb_config: __, ...cluster } = whole.static_resources.clusters[0];
  whole.static_resources.clusters[0] = { ...cluster, ...parse(read("orca.yaml")) };
  return stringify(whole, { aliasDuplicateObjects: false });
};

describe("two hosts behind Envoy", { timeout: 300_000 }, () => {
  const secured = new SecuredHosts(slots);
  let front = 0;
  let admin = 0;
  let proxy: RunningProxy | string = "";

  /** The file as it stands, but for where things are. */
  const config = (): string => {
    let text = read("envoy.yaml")
      .replaceAll("/etc/envoy/mlxd", join(secured.folder, "balancer"))
      .replace("address: 0.0.0.0, port_value: 443", `address: 127.0.0.1, port_value: ${front}`)
      .replace("port_value: 9901", `port_value: ${admin}`);
    for (const [at, port] of secured.ports.entries()) {
      text = text.replace(
        new RegExp(`address: 10.0.0.${at + 1}, port_value: 50051( .*\n.*load_balancing_weight:) 32`),
        `address: 127.0.0.1, port_value: ${port}$1 ${slots[at]}`,
      );
    }
    return text;
  };

  const client = (options: NodeClientOptions = {}) => secured.client(front, options);

  const start = async (text: string): Promise<void> => {
    proxy = await envoyWith(text, front);
  };

  beforeAll(async () => {
    const problem = await secured.prepare({ open: ["load"] });
    if (problem !== undefined) return void (proxy = problem);
    [front, admin] = [await freePort(), await freePort()];
    await start(config());
    if (typeof proxy !== "string") await secured.start();
  }, 300_000);
  afterAll(async () => {
    await secured[Symbol.asyncDispose]();
    if (typeof proxy !== "string") await proxy[Symbol.asyncDispose]();
  });

  /** Both hosts are in, for both clusters; skips where there is no Envoy. */
  const ready = async (context: TestContext): Promise<void> => {
    if (typeof proxy === "string") return context.skip(proxy);
    await until(async () => {
      const told = await (await fetch(`http://127.0.0.1:${admin}/clusters`)).text();
      return [...told.matchAll(/health_flags::healthy$/gm)].length === 4;
    });
  };

  it("gives hosts work by their slots", async (context) => {
    await ready(context);
    const { answered, running } = await splitOf(client(), secured.hosts, 80);
    await context.annotate(`split ${answered.join(":")}`);
    const [large = 0, small = 0] = answered;
    assert.isAbove(large, small * 1.5);
    assert.isAbove(small, 0);
    assert.deepStrictEqual(running, [...slots], "all slots are used");
  });

  itServesAsOneHost({ secured, ready, client });

  it("with load reports, gives hosts work by what they report", async (context) => {
    if (typeof proxy === "string") return context.skip(proxy);
    await proxy[Symbol.asyncDispose]();
    await start(withLoadReports(config()));
    await ready(context);
    // The first reports are of hosts that do nothing.
    await splitOf(client(), secured.hosts, 40);
    const { answered } = await splitOf(client(), secured.hosts, 80);
    await context.annotate(`split ${answered.join(":")}`);
    const [large = 0, small = 0] = answered;
    assert.isAbove(large, small * 1.5);
  });
});
