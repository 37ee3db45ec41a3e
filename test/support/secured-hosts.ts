/** The hosts of docs/deploy.md: certificates, keys and configuration are made by its commands. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { createMlxdClient, type NodeClient, type NodeClientOptions } from "../../src/client/node.ts";
import { createAuthority } from "./certificates.ts";
import { type Host, startHosts, stopHosts } from "./hosts.ts";
import { freePort } from "./free-port.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const page = readFileSync(join(root, "docs/deploy.md"), "utf8");
const section = page.split("\n## Two hosts behind HAProxy\n")[1]?.split("\n## ")[0] ?? "";
/** What makes certificates, keys and the hosts' configuration, and what makes a first call through the balancer. */
const [setUp = "", firstCall = ""] = [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block);

export class SecuredHosts implements AsyncDisposable {
  readonly #place = mkdtempSync(join(tmpdir(), "mlxd-hosts-"));
  /** What deploy/set-up has made. */
  readonly folder = join(this.#place, "hosts");
  /** Where the hosts listen, each time that they are started. */
  ports: readonly number[] = [];
  hosts: readonly Host[] = [];
  readonly #slots: readonly number[];
  readonly #clients: NodeClient[] = [];

  constructor(slots: readonly number[]) {
    this.#slots = slots;
  }

  /** Runs the page's commands, and starts nothing; gives why that cannot be done here. */
  async prepare({ open = [] }: { readonly open?: readonly string[] } = {}): Promise<string | undefined> {
    if ((await createAuthority(this.#place, "probe")) === undefined)
      return "openssl is missing or makes no certificate";
    await this.#bash(setUp);
    const yaml = this.read("mlxd/mlxd.yaml").replace("access:\n", `access:\n  open: [${open.join(", ")}]\n`);
    writeFileSync(join(this.folder, "mlxd/mlxd.yaml"), yaml);
    for (const _ of this.#slots) this.ports = [...this.ports, await freePort()];
    return undefined;
  }

  /** Starts what does not run: all of them, or those that a test has ended. */
  async start(environment: Readonly<Record<string, string>> = {}): Promise<void> {
    for (const [at, slots] of this.#slots.entries()) {
      const { exitCode, signalCode } = this.hosts[at]?.service.process ?? { exitCode: 0 };
      if (exitCode === null && signalCode === null) continue;
      const own = {
        MLXD_CONFIG: join(this.folder, "mlxd/mlxd.yaml"),
        MLXD_HOST: "127.0.0.1",
        MLXD_PORT: String(this.ports[at]),
      };
      const trust = { ca: join(this.folder, "ca.crt"), key: this.read("ops.key") };
      const started = await startHosts([{ slots, environment: { ...own, ...environment } }], trust);
      this.hosts = [...this.hosts.slice(0, at), ...started, ...this.hosts.slice(at + 1)];
    }
  }

  host(at: number): Host {
    const host = this.hosts[at];
    if (host === undefined) throw new Error(`there is no host ${at}`);
    return host;
  }

  /** One that generates through the balancer at this port. */
  client(port: number, options: NodeClientOptions = {}): NodeClient {
    const [tls, credentials] = [{ ca: this.read("ca.crt") }, this.read("ci.key")];
    const client = createMlxdClient({ baseUrl: `https://127.0.0.1:${port}`, tls, credentials, ...options });
    this.#clients.push(client);
    return client;
  }

  /** A file that the commands have made. */
  read(name: string): string {
    return readFileSync(join(this.folder, name), "utf8").trim();
  }

  /** The page's first call, to this port; gives what it prints. */
  async firstCall(port: number): Promise<string> {
    return this.#bash(firstCall.replaceAll("https://mlxd.internal", `https://127.0.0.1:${port}`));
  }

  async #bash(script: string): Promise<string> {
    const own = script.replaceAll(/bin\/mlxd|deploy\/set-up/g, (program) => join(root, program));
    return (await promisify(execFile)("bash", ["-euc", own], { cwd: this.#place })).stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close();
    await stopHosts(this.hosts);
    rmSync(this.#place, { recursive: true, force: true });
  }
}
