/**
 * Two real hosts behind HAProxy, set up by the commands of docs/deploy.md and with deploy/haproxy/haproxy.cfg as it stands: TLS on both
 * sides, keys, and hosts of 8 and 2 slots. Only addresses, folders and numbers of slots are others.
 */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it, type TestContext } from "vitest";

import type { NodeClientOptions } from "../../src/client/node.ts";
import { splitOf } from "../support/balanced-calls.ts";
import { itServesAsOneHost } from "../support/balanced-hosts.ts";
import { mlxdErrorOf } from "../support/error-of.ts";
import { haproxyWith, type RunningProxy } from "../support/proxies.ts";
import { SecuredHosts } from "../support/secured-hosts.ts";
import { until } from "../support/until.ts";
import { freePort } from "../support/free-port.ts";

const file = readFileSync(new URL("../../deploy/haproxy/haproxy.cfg", import.meta.url), "utf8");
const slots = [8, 2] as const;

describe("two hosts behind HAProxy", { timeout: 300_000 }, () => {
  const secured = new SecuredHosts(slots);
  let front = 0;
  let proxy: RunningProxy | string = "";

  /** The file as it stands, but for where things are. */
  const config = (): string => {
    let text = file
      .replaceAll("/etc/haproxy/mlxd", join(secured.folder, "balancer"))
      .replaceAll("/run/haproxy", secured.folder)
      .replace("bind :443", `bind 127.0.0.1:${front}`)
      // Of Debian's package, which is not installed here: two-hosts.long.ts installs it.
      .replaceAll(/^ {2}(user|group|chroot) .*\n/gm, "")
      .replace(/^frontend metrics\n(?: .*\n)+/m, "");
    for (const [at, port] of secured.ports.entries()) {
      const own = `127.0.0.1:${port} maxconn ${slots[at]} weight ${slots[at]}`;
      text = text.replaceAll(`10.0.0.${at + 1}:50051 maxconn 32 weight 32`, own);
    }
    return text;
  };

  const client = (options: NodeClientOptions = {}) => secured.client(front, options);

  beforeAll(async () => {
    const problem = await secured.prepare();
    front = await freePort();
    proxy = problem ?? (await haproxyWith(config(), front));
    if (typeof proxy !== "string") await secured.start();
  }, 300_000);
  afterAll(async () => {
    await secured[Symbol.asyncDispose]();
    if (typeof proxy !== "string") await proxy[Symbol.asyncDispose]();
  });

  /** What HAProxy says of each of its servers: two hosts, each of them for two backends. */
  const statuses = async (): Promise<readonly string[]> => {
    const socket = connect(join(secured.folder, "admin.sock"));
    socket.write("show stat\n");
    let answer = "";
    for await (const chunk of socket) answer += String(chunk);
    const [head = "", ...rows] = answer.split("\n");
    const at = head.split(",").indexOf("status");
    return rows.filter((row) => /^mlxd\w*,mlxd\d,/.test(row)).map((row) => row.split(",")[at] ?? "");
  };

  /** Both hosts are in; skips where there is no HAProxy. */
  const ready = async (context: TestContext): Promise<void> => {
    if (typeof proxy === "string") return context.skip(proxy);
    await until(async () => (await statuses()).join() === "UP,UP,UP,UP");
  };

  it("answers the page's first call, and nobody without a key", async (context) => {
    await ready(context);
    assert.include(await secured.firstCall(front), "4");
    const keyless = client({ credentials: undefined }).generate("What is 2+2?");
    assert.strictEqual((await mlxdErrorOf(keyless)).code, "UNAUTHENTICATED");
  });

  it("fills the slots of each host, and lets what is over them wait in front", async (context) => {
    await ready(context);
    const { answered, running, waiting } = await splitOf(client(), secured.hosts, 80);
    await context.annotate(`split ${answered.join(":")}`);
    assert.deepStrictEqual(running, [...slots], "all slots are used");
    assert.deepStrictEqual(waiting, [0, 0], "nothing waits at one host while the other could have it");
    const [large = 0, small = 0] = answered;
    // 4 to 1 where hosts are as fast as they have slots. Here they share their processors, and the one with fewer is faster.
    assert.isAbove(large, small * 1.25);
  });

  itServesAsOneHost({ secured, ready, client, mostLost: slots[1] });

  it("says that there is no host in a way that every client understands", async (context) => {
    if (typeof proxy === "string") return context.skip(proxy);
    await Promise.all(secured.hosts.map(({ service }) => service.stop()));
    for (const protocol of ["grpc", "connect", "connect-http1"] as const) {
      const error = await mlxdErrorOf(client({ retry: false, protocol }).generate("What is 2+2?"));
      assert.strictEqual(error.code, "UNAVAILABLE", protocol);
    }
  });
});
