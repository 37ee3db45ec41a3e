/** Several hosts: the real service several times, each with TLS, keys and its own number of slots. */
import { readFileSync } from "node:fs";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { type Load, ServerService } from "../../src/client/gen/mlxd/v1/server_service_pb.ts";
import { type RunningService, startService } from "./running-service.ts";

export interface Host {
  readonly service: RunningService;
  readonly slots: number;
  /** Asked of the host itself, past every balancer. */
  readonly load: () => Promise<Load>;
  /** Generations that it has ended with a result since it started. */
  readonly succeeded: () => Promise<number>;
}

export interface HostOptions {
  readonly slots: number;
  readonly environment?: Readonly<Record<string, string>>;
}

/** How the hosts are reached: the file of their authority, and a key of a tenant that has the role `admin`. */
export interface Trust {
  readonly ca?: string;
  readonly key?: string;
}

/** Starts one after the other: each computes while it warms up. */
export const startHosts = async (options: readonly HostOptions[], trust: Trust = {}): Promise<readonly Host[]> => {
  const hosts: Host[] = [];
  for (const { slots, environment = {} } of options) {
    hosts.push(hostOf(await startService({ MLXD_MAX_RUNNING: String(slots), ...environment }), slots, trust));
  }
  return hosts;
};

export const stopHosts = async (hosts: readonly Host[]): Promise<void> => {
  await Promise.all(hosts.map(({ service }) => service.stop()));
};

const hostOf = (service: RunningService, slots: number, { ca, key }: Trust): Host => {
  const transport = createGrpcTransport({
    baseUrl: service.url,
    ...(ca !== undefined && { nodeOptions: { ca: readFileSync(ca), checkServerIdentity: () => undefined } }),
  });
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const client = createClient(ServerService, transport);
  return {
    service,
    slots,
    load: async () => {
      const { load } = await client.getLoad({}, { headers });
      if (load === undefined) throw new Error("the host tells no load");
      return load;
    },
    succeeded: async () => (await client.getStats({}, { headers })).total?.succeeded ?? 0,
  };
};
