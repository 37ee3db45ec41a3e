/** How a balancer chooses a host for a call. */
import type { FleetParameters } from "./parameters.ts";

interface HostState {
  /** Calls that it runs. */
  readonly running: number;
  /** Calls that wait for it alone. */
  readonly waiting: number;
}

interface CallKeys {
  readonly assistant: number;
  readonly conversation: number;
}

/** The host's number; undefined lets the call wait in front of all of them until one has a free slot. */
export type Choose = (call: CallKeys, hosts: readonly HostState[], inFlight: number) => number | undefined;

export const policies: Readonly<Record<string, (fleet: FleetParameters) => Choose>> = {
  "round robin": (fleet) => {
    let next = 0;
    return () => next++ % fleet.hosts;
  },

  /** HAProxy's `leastconn` with `maxconn` = slots. */
  "least connections, queue in front": (fleet) => (_call, hosts) => {
    let best: number | undefined;
    let fewest = fleet.slots;
    for (let at = 0; at < hosts.length && fewest > 0; at++) {
      const running = hosts[at]?.running ?? fleet.slots;
      if (running < fewest) [best, fewest] = [at, running];
    }
    return best;
  },

  "bounded hash of the instructions": (fleet) => boundedHash(fleet, ({ assistant }) => `assistant ${assistant}`),

  "bounded hash of the conversation": (fleet) =>
    boundedHash(fleet, ({ conversation }) => `conversation ${conversation}`),
};

const pointsPerHost = 64;

/** Consistent hashing with bounded loads: https://arxiv.org/abs/1608.01350. */
const boundedHash = ({ hosts: count, balanceFactor }: FleetParameters, keyOf: (call: CallKeys) => string): Choose => {
  const ring = Array.from({ length: count * pointsPerHost }, (_, at) => ({
    host: at % count,
    point: hashOf(`host ${at % count} point ${Math.floor(at / count)}`),
  })).toSorted((one, other) => one.point - other.point);
  const points = ring.map(({ point }) => point);
  return (call, hosts, inFlight) => {
    const most = Math.ceil(((inFlight + 1) * balanceFactor) / count);
    const start = lowerBound(points, hashOf(keyOf(call)));
    for (let step = 0; step < ring.length; step++) {
      const { host } = ring[(start + step) % ring.length] ?? { host: 0 };
      const { running, waiting } = hosts[host] ?? { running: 0, waiting: 0 };
      if (running + waiting < most) return host;
    }
    return 0;
  };
};

const lowerBound = (sorted: readonly number[], wanted: number): number => {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
};

/** FNV-1a with the last mixing of MurmurHash3, without which near keys lie near each other. */
const hashOf = (text: string): number => {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
};
