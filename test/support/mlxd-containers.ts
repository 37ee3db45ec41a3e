/** Two containers of mlxd behind one of HAProxy, as several hosts are, with what deploy/set-up makes for them. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { GenericContainer, Network, type StartedNetwork, type StartedTestContainer, Wait } from "testcontainers";

import { createMlxdClient, type NodeClient, type ServerStats } from "../../src/client/node.ts";
import { docker, haproxyImage, mlxdImage, ReadOnlyContainer } from "./docker.ts";
import { until } from "./until.ts";

const root = join(import.meta.dirname, "../..");
const startTimeoutMs = 600_000;

export interface ContainerLimits {
  readonly memoryGb: number;
  readonly environment: Readonly<Record<string, string>>;
}

/** Of what `docker inspect` tells. */
interface Inspected {
  readonly State: { readonly Running: boolean; readonly Paused: boolean };
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, unknown>> };
}

export class MlxdContainers implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "mlxd-containers-"));
  readonly #limits: ContainerLimits;
  #network: StartedNetwork | undefined;
  #containers: readonly StartedTestContainer[] = [];
  #balancer: StartedTestContainer | undefined;
  /** Calls through HAProxy, as anybody outside does. */
  client!: NodeClient;

  constructor(limits: ContainerLimits) {
    this.#limits = limits;
  }

  async start(): Promise<void> {
    await promisify(execFile)(join(root, "deploy/set-up"), [this.#folder, "mlxd1", "mlxd2"]);
    const [image, balancer] = [await mlxdImage(), await haproxyImage()];
    const network = await new Network().start();
    this.#network = network;
    // One after the other: each computes while it warms up.
    for (const name of ["mlxd1", "mlxd2"]) {
      const container = await new ReadOnlyContainer(image)
        .withNetwork(network)
        .withNetworkAliases(name)
        .withBindMounts([{ source: join(this.#folder, "mlxd"), target: "/etc/mlxd", mode: "ro" }])
        // It is filled up where memory is to run out.
        .withTmpFs({ "/tmp": "rw,size=4g" })
        .withDroppedCapabilities("ALL")
        .withEnvironment({ ...this.#limits.environment })
        .withExposedPorts(50051)
        .withResourcesQuota({ memory: this.#limits.memoryGb })
        .withWaitStrategy(Wait.forHealthCheck())
        .withStartupTimeout(startTimeoutMs)
        .start();
      this.#containers = [...this.#containers, container];
    }
    this.#balancer = await new GenericContainer(balancer)
      .withNetwork(network)
      .withBindMounts([{ source: join(this.#folder, "balancer"), target: "/etc/haproxy/mlxd", mode: "ro" }])
      .withExposedPorts(8443)
      .start();
    this.client = this.#clientOf(this.#balancer.getMappedPort(8443), "ci");
  }

  /** The container at 0 or 1. */
  at(index: number): StartedTestContainer {
    const container = this.#containers[index];
    if (container === undefined) throw new Error(`there is no container ${index}`);
    return container;
  }

  /** What a server tells of itself, past HAProxy. A container has another port each time that it is started. */
  async stats(index: number): Promise<ServerStats> {
    const [address = ""] = (await docker("port", this.at(index).getId(), "50051")).split("\n");
    using client = this.#clientOf(Number(address.split(":").at(-1)), "ops");
    return await client.stats({ timeoutMs: 60_000 });
  }

  /** How many generations each of them has answered while this ran. */
  async answeredDuring(run: () => Promise<unknown>): Promise<readonly number[]> {
    const count = () =>
      Promise.all(this.#containers.map(async (_, at) => (await this.stats(at)).total?.succeeded ?? 0));
    const before = await count();
    await run();
    return (await count()).map((after, at) => after - (before[at] ?? 0));
  }

  /** Waits until HAProxy gives calls to both of them. */
  async untilBothServe(): Promise<void> {
    const calls = () => Promise.all(Array.from({ length: 8 }, () => this.client.generate("What is 2+2?")));
    await until(() =>
      this.answeredDuring(calls).then(
        (counts) => counts.every((count) => count > 0),
        // One of them does not answer yet.
        () => false,
      ),
    );
  }

  /** Has a container run again, in the network, whatever was done to it. */
  async restore(index: number): Promise<void> {
    const id = this.at(index).getId();
    const [{ State, NetworkSettings }] = JSON.parse(await docker("inspect", id)) as [Inspected];
    if (State.Paused) await docker("unpause", id);
    if (!State.Running) await docker("start", id);
    if (!(this.#name in NetworkSettings.Networks)) await this.connect(index);
  }

  async disconnect(index: number): Promise<void> {
    await docker("network", "disconnect", this.#name, this.at(index).getId());
  }

  async connect(index: number): Promise<void> {
    await docker("network", "connect", "--alias", `mlxd${index + 1}`, this.#name, this.at(index).getId());
  }

  get #name(): string {
    return this.#network?.getName() ?? "";
  }

  #clientOf(port: number, key: string): NodeClient {
    return createMlxdClient({
      baseUrl: `https://127.0.0.1:${port}`,
      credentials: readFileSync(join(this.#folder, `${key}.key`), "utf8").trim(),
      tls: { ca: readFileSync(join(this.#folder, "ca.crt")) },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client?.close();
    for (const container of [this.#balancer, ...this.#containers]) {
      if (container !== undefined) await docker("rm", "--force", "--volumes", container.getId());
    }
    await this.#network?.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
