/** The proxies of docs/proxies.md, run as that page has them; only the ports are others. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { endWithThisProcess } from "./end-with-this-process.ts";
import { debianProxies, envoy } from "./tools.ts";
import { freePort } from "./free-port.ts";

export interface RunningProxy extends AsyncDisposable {
  /** Of gRPC, and of all else where that is the same. */
  readonly port: number;
  /** Of HTTP/1.1. */
  readonly webPort: number;
}

/** Changes of the page's text, such as shorter times. */
export type Edits = ReadonlyArray<readonly [from: RegExp, to: string]>;

const page = readFileSync(new URL("../../docs/proxies.md", import.meta.url), "utf8");

const configOf = (language: string, ports: Readonly<Record<number, number>>, edits: Edits): string => {
  let text = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "ms").exec(page)?.[1] ?? "";
  for (const [from, to] of Object.entries(ports)) {
    text = text
      .replaceAll(`127.0.0.1:${from}`, `127.0.0.1:${to}`)
      .replaceAll(`port_value: ${from} `, `port_value: ${to} `);
  }
  for (const [from, to] of edits) {
    if (!from.test(text)) throw new Error(`docs/proxies.md has nothing like ${from}`);
    text = text.replaceAll(new RegExp(from, "g"), to);
  }
  return text;
};

/** Starts one in front of a service; or tells why it cannot be had. */
export type StartProxy = (service: number, edits?: Edits) => Promise<RunningProxy | string>;

/** Tests that run at once share one download. */
const firstTime = <A>(find: () => Promise<A>): (() => Promise<A>) => {
  let found: Promise<A> | undefined;
  return () => (found ??= find());
};

const programs = { debian: firstTime(debianProxies), envoy: firstTime(envoy) };

export const startHaproxy: StartProxy = async (service, edits = []) => {
  const port = await freePort();
  return haproxyWith(configOf("haproxy", { 8080: port, 50051: service }, edits), port);
};

/** HAProxy with this configuration, which lets it listen on the port; or why it cannot be had. */
export const haproxyWith = async (config: string, port: number): Promise<RunningProxy | string> => {
  const found = await programs.debian();
  if (typeof found === "string") return found;
  const folder = mkdtempSync(join(tmpdir(), "mlxd-haproxy-"));
  const file = join(folder, "haproxy.cfg");
  writeFileSync(file, config);
  const child = spawn(found.haproxy, ["-db", "-f", file], { env: found.environment, stdio: "pipe" });
  return running(child, folder, port, port);
};

export const startNginx: StartProxy = async (service, edits = []) => {
  const found = await programs.debian();
  if (typeof found === "string") return found;
  const [port, webPort] = [await freePort(), await freePort()];
  const folder = mkdtempSync(join(tmpdir(), "mlxd-nginx-"));
  mkdirSync(join(folder, "temporary"));
  const kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  writeFileSync(join(folder, "mlxd.conf"), configOf("nginx", { 8080: port, 8081: webPort, 50051: service }, edits));
  // What Debian has around conf.d/*.conf.
  writeFileSync(
    join(folder, "nginx.conf"),
    `daemon off; master_process off; pid nginx.pid; error_log stderr;
     events {}
     http { access_log off; ${kinds.map((kind) => `${kind}_temp_path temporary/${kind};`).join(" ")} include mlxd.conf; }`,
  );
  const child = spawn(found.nginx, ["-p", folder, "-c", "nginx.conf"], { env: found.environment, stdio: "pipe" });
  return running(child, folder, port, webPort);
};

export const startEnvoy: StartProxy = async (service, edits = []) => {
  const port = await freePort();
  return envoyWith(configOf("yaml", { 8080: port, 50051: service }, edits), port);
};

/** Envoy with this configuration, which lets it listen on the port; or why it cannot be had. */
export const envoyWith = async (config: string, port: number): Promise<RunningProxy | string> => {
  const found = await programs.envoy();
  if (typeof found === "string") return found;
  const folder = mkdtempSync(join(tmpdir(), "mlxd-envoy-"));
  const file = join(folder, "envoy.yaml");
  writeFileSync(file, config);
  const args = ["-c", file, "--disable-hot-restart", "--concurrency", "1", "-l", "warning"];
  return running(spawn(found.path, args, { stdio: "pipe" }), folder, port, port);
};

const running = async (child: ChildProcess, folder: string, port: number, webPort: number): Promise<RunningProxy> => {
  endWithThisProcess(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => (output = (output + chunk.toString()).slice(-4000)));
  }
  const ended = once(child, "exit");
  for (const one of [port, webPort]) {
    while (!(await isListening(one))) {
      const end = child.exitCode ?? child.signalCode;
      if (end !== null) throw new Error(`the proxy ended with ${end}: ${output}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return {
    port,
    webPort,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null) child.kill("SIGKILL");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

const isListening = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
