/** Jobs over a scripted pipeline, through the real router: the same tests over an embedded store and over a Postgres. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Stream } from "effect";
import { afterAll, beforeAll, beforeEach, describe } from "vitest";

import {
  JobService,
  type StreamJobResultsResponse,
  StreamJobResultsRequest_Order as Order,
} from "../../src/client/gen/mlxd/v1/job_service_pb.ts";
import type { Draining, EngineLost, ModelNotFound, QueueFull } from "../../src/service/domain/errors.ts";
import type { GenerationEvent } from "../../src/service/domain/generation-result.ts";
import type { GenerationTask } from "../../src/service/domain/generation-task.ts";
import { collect } from "./collect.ts";
import { startPostgres } from "./postgres.ts";
import { eventsOf, promptOf } from "./scripted-generations.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

interface Store {
  readonly name: string;
  /** Or why there is none, with which its tests are skipped. */
  readonly open: () => Promise<{ readonly store: string; readonly close: () => Promise<void> } | string>;
}

const stores: ReadonlyArray<Store> = [
  {
    name: "an embedded store",
    open: async () => {
      const directory = await mkdtemp(join(tmpdir(), "mlxd-jobs-"));
      return { store: join(directory, "store"), close: () => rm(directory, { recursive: true }) };
    },
  },
  {
    name: "a Postgres",
    open: async () => {
      const postgres = await startPostgres();
      if (typeof postgres === "string") return postgres;
      return { store: postgres.url, close: async () => postgres[Symbol.asyncDispose]() };
    },
  },
];

/** What generations do, by the prompt. */
type Script = (
  task: GenerationTask,
) => Stream.Stream<GenerationEvent, EngineLost | ModelNotFound | Draining | QueueFull>;

/** They say it back. */
export const echo: Script = (task) => Stream.fromIterable(eventsOf(["You said: ", promptOf(task)]));

/** A service with one of the stores. */
class StoredJobs {
  /** @default each test begins with `echo` */
  script: Script = echo;
  #client: Client<typeof JobService> | undefined;
  #server: TestServer | undefined;
  readonly #store: () => string;

  constructor(store: () => string) {
    this.#store = store;
  }

  get client(): Client<typeof JobService> {
    if (this.#client === undefined) throw new Error("it has not been started");
    return this.#client;
  }

  async start(): Promise<void> {
    this.#server = await startTestServer({
      jobs: { store: this.#store() },
      stream: (task) => Stream.suspend(() => this.script(task)),
    });
    this.#client = createClient(JobService, createGrpcTransport({ baseUrl: this.#server.url }));
  }

  async stop(): Promise<void> {
    await this.#server?.close();
  }

  /** With a request id of its own. @returns the id of the job */
  readonly createJob = async (request: Parameters<Client<typeof JobService>["createJob"]>[0]): Promise<string> => {
    const { job } = await this.client.createJob({ requestId: randomUUID(), ...request });
    return job?.jobId ?? "";
  };

  readonly results = (jobId: string, order: Order = Order.INDEX, afterCursor?: number) =>
    collect(this.client.streamJobResults({ jobId, order, ...(afterCursor === undefined ? {} : { afterCursor }) }));

  readonly job = async (jobId: string) => (await this.client.getJob({ jobId })).job;
}

/** The same tests for each store, of a service that has it. */
export const describeInStores = (title: string, tests: (jobs: StoredJobs) => void): void => {
  /** Only what hangs takes as long. */
  describe.each(stores)(`${title} in $name`, { timeout: 600_000 }, ({ open }) => {
    let opened: Awaited<ReturnType<Store["open"]>>;
    const jobs = new StoredJobs(() => (typeof opened === "object" ? opened.store : ""));
    beforeAll(async () => {
      opened = await open();
      if (typeof opened === "object") await jobs.start();
    });
    beforeEach((context) => {
      if (typeof opened === "string") context.skip(opened);
      jobs.script = echo;
    });
    afterAll(async () => {
      await jobs.stop();
      if (typeof opened === "object") await opened.close();
    });
    tests(jobs);
  });
};

export const item = (text: string, itemId = "") => ({
  itemId,
  task: { input: { case: "prompt", value: text } as const },
});

/** `question 0`, with the id `q0`, and so on. */
export const items = (count: number) =>
  Array.from({ length: count }, (_, index) => item(`question ${index}`, `q${index}`));

export const textOf = (each: StreamJobResultsResponse) =>
  each.item?.outcome.case === "result" ? each.item.outcome.value.candidates[0]?.text : undefined;

/** What a call fails with; that it does is for its test to assert. */
export const failure = async (call: Promise<unknown>) => {
  const error: unknown = await call.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  const { code, rawMessage } = error as { code: Code; rawMessage: string };
  return { code: Code[code], rawMessage };
};

/** A pattern of a text that has this in it. */
export const containing = (part: string): RegExp => new RegExp(part.replaceAll(/[.[\]]/g, String.raw`\$&`));
