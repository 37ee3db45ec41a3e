/**
 * Whether a service is back where it was: what each test of this folder asks after its fault. File descriptors, processes, memory, leases,
 * places in queues and reservations are as before, and one call is answered as before.
 */
import { readdirSync, readFileSync } from "node:fs";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, assert, beforeAll } from "vitest";

import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { ModelService, ModelState } from "../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { ServerService } from "../../src/client/gen/mlxd/v1/server_service_pb.ts";
import { type RunningService, startService } from "../support/running-service.ts";

interface Rest {
  /** Of the service's process; 0 where the system does not tell. */
  readonly descriptors: number;
  readonly engines: number;
  /** Sandbox processes come and go with the work that there is, up to their limit. */
  readonly otherProcesses: number;
  readonly residentBytes: number;
  readonly running: number;
  readonly waiting: number;
  readonly kvCacheBytes: number;
  readonly reservedBytes: number;
  readonly loadsWaiting: number;
  /** What the model answers to a question with one answer. */
  readonly answer: string;
}

/** Once nothing is under way any more. */
const restOf = async (service: RunningService): Promise<Rest> => {
  // Clients of its own, closed with the process of the test: a connection more is a descriptor more, before and after.
  const transport = createGrpcTransport({ baseUrl: service.url, idleConnectionTimeoutMs: 100 });
  const generation = createClient(GenerationService, transport);
  const server = createClient(ServerService, transport);
  const { result } = await generation.generate({ task: question });
  const { load } = await server.getLoad({});
  const { pool } = await server.getStats({});
  const [all, engines] = [service.children(), service.workers()];
  return {
    descriptors: descriptorsOf(service.process.pid),
    engines: engines.length,
    otherProcesses: all.length - engines.length,
    residentBytes: residentBytesOf(service.process.pid),
    running: load?.running ?? -1,
    waiting: load?.waiting ?? -1,
    kvCacheBytes: load?.models.reduce((sum, model) => sum + model.kvCacheBytes, 0) ?? -1,
    reservedBytes: load?.memoryReservedBytes ?? -1,
    loadsWaiting: pool?.waiting ?? -1,
    answer: result?.candidates[0]?.text ?? "",
  };
};

interface RestBounds {
  /** What the service's process may have grown by: V8 gives memory back when it likes. @default 96 MiB */
  readonly memoryBytes?: number;
}

/** Resolves once the service is as it was; fails with what is not, where that does not come within a minute. */
const isBackAt = async (service: RunningService, before: Rest, bounds: RestBounds = {}): Promise<Rest> => {
  const until = performance.now() + 60_000;
  for (;;) {
    const now = await restOf(service);
    const left = differences(before, now, bounds);
    if (left.length === 0) return now;
    if (performance.now() > until) assert.fail(`the service is not back where it was: ${left.join("; ")}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
};

/** Looks at a running service, once nothing is under way any more, so that it can be compared with later. */
export const lookAtRest = async (service: RunningService): Promise<Pick<AtRest, "isBack">> => {
  const before = await restOf(service);
  return {
    isBack: async (bounds) => mebibytes((await isBackAt(service, before, bounds)).residentBytes - before.residentBytes),
  };
};

interface AtRest {
  readonly service: () => RunningService;
  /** Resolves once the service is as it was before the tests, with the MiB that its process has more. */
  readonly isBack: (bounds?: RestBounds) => Promise<number>;
}

/**
 * A service for the tests of a file, from before the first to after the last.
 *
 * @param warmUp what comes before the look that later ones are compared with
 */
export const serviceAtRest = (
  environment: Readonly<Record<string, string>> = {},
  warmUp: (service: RunningService) => Promise<unknown> = () => Promise.resolve(),
): AtRest => {
  let service: RunningService;
  let before: Rest;
  beforeAll(async () => {
    service = await startService(environment);
    const cold = await restOf(service);
    await warmUp(service);
    before = { ...(await isBackAt(service, cold, { memoryBytes: Infinity })), answer: cold.answer };
  }, 900_000);
  afterAll(() => service.stop());
  return {
    service: () => service,
    isBack: async (bounds) => mebibytes((await isBackAt(service, before, bounds)).residentBytes - before.residentBytes),
  };
};

/** Sandbox processes that a service may have: four for small inputs, two for large ones, and one that ends as the next begins. */
const mostOtherProcesses = 7;
/** Connections of these very questions, and pipes of a sandbox process that came since. */
const descriptorSlack = 4 + 3 * mostOtherProcesses;

const differences = (before: Rest, now: Rest, { memoryBytes = 96 * 1024 ** 2 }: RestBounds): ReadonlyArray<string> => {
  const found: string[] = [];
  const same = ["engines", "running", "waiting", "kvCacheBytes", "reservedBytes", "loadsWaiting", "answer"] as const;
  for (const key of same) if (before[key] !== now[key]) found.push(`${key} is ${now[key]}, not ${before[key]}`);
  const newProcesses = Math.max(0, now.otherProcesses - before.otherProcesses);
  if (now.otherProcesses > mostOtherProcesses) found.push(`there are ${now.otherProcesses} other processes`);
  if (now.descriptors > before.descriptors + Math.min(descriptorSlack, 4 + 3 * newProcesses)) {
    found.push(`${now.descriptors} file descriptors are open, not ${before.descriptors}`);
  }
  if (now.residentBytes > before.residentBytes + memoryBytes) {
    found.push(`it has ${mebibytes(now.residentBytes)} MiB, not ${mebibytes(before.residentBytes)}`);
  }
  return found;
};

const question = {
  input: { case: "prompt", value: "1 2 3 4" },
  sampling: { temperature: 0 },
  stop: { ignoreEos: true, maxOutputTokens: 8 },
  cache: { mode: 0 },
} as const;

const mebibytes = (bytes: number): number => Math.round(bytes / 1024 ** 2);

/** The model is loaded, and its engine answers. */
export const untilActive = async (service: RunningService): Promise<void> => {
  const models = createClient(
    ModelService,
    createGrpcTransport({ baseUrl: service.url, idleConnectionTimeoutMs: 100 }),
  );
  while ((await models.getModel({ model: "demo" })).model?.state !== ModelState.ACTIVE) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

const descriptorsOf = (pid: number | undefined): number => {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
};

const residentBytesOf = (pid: number | undefined): number => {
  try {
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Number(kibibytes ?? 0) * 1024;
  } catch {
    return 0;
  }
};
