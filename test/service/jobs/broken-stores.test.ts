/** What callers are told where the store of jobs cannot be used, and that nobody else notices. */
import { spawnSync } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { existsSync, mkdtempSync, renameSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Deferred, Effect, Stream } from "effect";
import { Client } from "pg";
import { afterEach, assert, beforeEach, describe, it, vi } from "vitest";

import { createMlxdClient, type JobResult } from "../../../src/client/node.ts";
import type { GenerationTask } from "../../../src/service/domain/generation-task.ts";
import { openEmbedded } from "../../../src/service/jobs/store/embedded-database.ts";
import { openStore } from "../../../src/service/jobs/store/open-store.ts";
import { collect } from "../../support/collect.ts";
import { mlxdErrorOf } from "../../support/error-of.ts";
import { startPostgres } from "../../support/postgres.ts";
import { eventsOf, type GenerationScript, promptOf } from "../../support/scripted-generations.ts";
import { startTestServer } from "../../support/test-server.ts";
import { until } from "../../support/until.ts";

const start = async (store: string, script: GenerationScript = {}) => {
  const server = await startTestServer({ jobs: { store }, ...script });
  const client = createMlxdClient({ baseUrl: server.url, retry: { maxAttempts: 1 } });
  return {
    client,
    create: () => client.jobs.create([{ input: { prompt: "a" } }], { requestId: randomUUID() }),
    [Symbol.asyncDispose]: async () => {
      client.close();
      await server.close();
    },
  };
};

const fail = (error: Error): void => {
  throw error;
};

/** Only what hangs takes as long: to make a store takes seconds of a processor. */
const timeout = 600_000;

describe("a store of jobs", { timeout }, () => {
  let directory: string;
  beforeEach(() => (directory = join(mkdtempSync(join(tmpdir(), "mlxd-store-")), "store")));
  afterEach(() => rmSync(join(directory, ".."), { recursive: true, force: true }));

  it("is not there before the first job", async () => {
    await using host = await start(directory);
    await host.client.generate("What is 2+2?");
    assert.isFalse(existsSync(directory));
    await host.create();
    assert.isTrue(existsSync(directory));
  });

  it("that another process holds is left to it; other calls are answered", async () => {
    await using first = await start(directory);
    const { jobId } = await first.create();
    await using second = await start(directory);
    const calls = [
      () => second.create(),
      () => second.client.jobs.get(jobId),
      () => collect(second.client.jobs.list()),
    ];
    for (const call of calls) {
      const error = await mlxdErrorOf(call());
      assert.strictEqual(error.code, "FAILED_PRECONDITION");
      assert.strictEqual(error.reason, "JOB_STORE_UNUSABLE");
      assert.include(error.message, `process ${process.pid} holds it`);
    }
    assert.isNotEmpty((await second.client.generate("What is 2+2?")).text);
    assert.lengthOf(await collect(first.client.jobs.results(jobId)), 1);
  });

  it("is taken by the next one once it is given back", async () => {
    let jobId = "";
    {
      await using first = await start(directory);
      ({ jobId } = await first.create());
    }
    await using second = await start(directory);
    assert.lengthOf(await collect(second.client.jobs.results(jobId)), 1);
  });

  it.each([
    ["mlxd", "UPDATE mlxd.version SET version = 1000", "SELECT version FROM mlxd.version"],
    ["pg-boss", "UPDATE pgboss.version SET version = 1000", "SELECT version FROM pgboss.version"],
  ])("of a newer %s is refused and left as it is", async (_, newer, version) => {
    const made = await openStore(directory, fail);
    await made.database.query(newer);
    await made.close();
    {
      await using host = await start(directory);
      const error = await mlxdErrorOf(host.create());
      assert.strictEqual(error.reason, "JOB_STORE_UNUSABLE");
      assert.include(error.message, "version 1000");
      assert.isNotEmpty((await host.client.generate("What is 2+2?")).text);
    }
    await assertHolds(directory, version, 1000);
  });

  it("is not held by an attempt to open it that failed", async () => {
    const made = await openStore(directory, fail);
    await made.database.query("ALTER TABLE mlxd.host RENAME TO nohost");
    await made.close();
    {
      await using host = await start(directory);
      assert.strictEqual((await mlxdErrorOf(host.create())).code, "INTERNAL");
    }
    await (await openEmbedded(directory)).close();
  });

  it("that cannot be opened at the start has its items run once it can be, though nobody asks", async () => {
    {
      await using first = await start(directory, { stream: () => Stream.never });
      await first.create();
    }
    renameSync(directory, `${directory}-away`);
    writeFileSync(directory, "");
    const ran: string[] = [];
    const stream = (task: GenerationTask) =>
      Stream.suspend(() => {
        ran.push(promptOf(task));
        return Stream.fromIterable(eventsOf([promptOf(task)]));
      });
    await using host = await startTestServer({ jobs: { store: directory }, stream });
    await until(() => JSON.stringify(host.log).includes("opening the store waits for the store"));
    rmSync(directory);
    renameSync(`${directory}-away`, directory);
    await until(() => ran.length > 0);
    assert.deepEqual(ran, ["a"]);
  });

  it("whose disk is full says so, loses nothing, and goes on once there is room", async (context) => {
    const disk = mountDisk("400m");
    if (typeof disk === "string") return context.skip(disk);
    using _ = disk;
    await using host = await start(join(disk.path, "store"));
    const created = [(await host.create()).jobId];
    disk.leave(4_000_000);
    const fill = async (): Promise<void> => {
      for (let count = 0; count < 500; count++) {
        const task = { input: { prompt: randomBytes(1_000_000).toString("hex") } };
        created.push((await host.client.jobs.create([task])).jobId);
      }
    };
    const error = await mlxdErrorOf(fill());
    assert.strictEqual(error.reason, "JOB_STORE_UNAVAILABLE");
    assert.include(error.message, "its disk is full");
    assert.isNotEmpty((await host.client.generate("What is 2+2?")).text);
    disk.resize("400m");
    const next = await vi.waitFor(host.create, { timeout, interval: 200 });
    for (const jobId of [...created, next.jobId]) {
      assert.lengthOf(await collect(host.client.jobs.results(jobId)), 1);
    }
  });

  it("that its disk has no room for is made once there is room", async (context) => {
    const disk = mountDisk("20m");
    if (typeof disk === "string") return context.skip(disk);
    using _ = disk;
    await using host = await start(join(disk.path, "store"));
    for (let call = 0; call < 2; call++) {
      const error = await mlxdErrorOf(host.create());
      assert.strictEqual(error.reason, "JOB_STORE_UNAVAILABLE");
      assert.include(error.message, "its disk is full");
    }
    disk.resize("400m");
    const { jobId } = await vi.waitFor(host.create, { timeout, interval: 200 });
    assert.lengthOf(await collect(host.client.jobs.results(jobId)), 1);
  });

  it("in a Postgres whose answer was lost has its items run nevertheless", async (context) => {
    const postgres = await startPostgres();
    if (typeof postgres === "string") return context.skip(postgres);
    await using _ = postgres;
    // As a commit leaves it whose host has not heard of it.
    const results = await whileSecondWaits(
      postgres.url,
      `UPDATE mlxd.item SET state = 'in-progress', attempt = 1, host = (SELECT id FROM mlxd.host),
       attempts = '[{"n": 1, "s": 0, "host": "h"}]' WHERE state = 'pending'`,
    );
    assert.deepEqual(
      results.map(({ result, attempts }) => [result?.text, attempts]),
      [
        ["first", 1],
        ["second", 2],
      ],
    );
  });

  it("in a Postgres whose clock was set back has what waits there run nevertheless", async (context) => {
    const postgres = await startPostgres();
    if (typeof postgres === "string") return context.skip(postgres);
    await using _ = postgres;
    const results = await whileSecondWaits(
      postgres.url,
      "UPDATE pgboss.job SET start_after = start_after + interval '1 hour' WHERE state = 'created'",
    );
    assert.deepEqual(
      results.map(({ result }) => result?.text),
      ["first", "second"],
    );
  });

  it("in a Postgres that goes away and comes back has lost nothing", async (context) => {
    const postgres = await startPostgres();
    if (typeof postgres === "string") return context.skip(postgres);
    await using _ = postgres;
    await using host = await start(postgres.url);
    const { jobId } = await host.create();
    assert.lengthOf(await collect(host.client.jobs.results(jobId)), 1);
    await postgres.kill();
    const error = await mlxdErrorOf(host.create());
    assert.strictEqual(error.code, "UNAVAILABLE");
    assert.strictEqual(error.reason, "JOB_STORE_UNAVAILABLE");
    assert.isAbove(error.retryAfterMs ?? 0, 0);
    assert.notInclude(error.message, postgres.url);
    assert.isNotEmpty((await host.client.generate("What is 2+2?")).text);
    await postgres.start();
    const after = await vi.waitFor(() => host.create(), { timeout, interval: 200 });
    assert.lengthOf(await collect(host.client.jobs.results(after.jobId)), 1);
    assert.lengthOf(await collect(host.client.jobs.results(jobId)), 1);
  });
});

/** The results of a job of two items, where this statement is made while the first runs and the second waits. */
const whileSecondWaits = async (store: string, statement: string): Promise<ReadonlyArray<JobResult>> => {
  const go = Deferred.makeUnsafe<void>();
  const stream = (task: GenerationTask) =>
    Stream.fromIterable(eventsOf([promptOf(task)])).pipe(Stream.tap(() => Deferred.await(go)));
  await using host = await start(store, { stream });
  const tasks = ["first", "second"].map((prompt) => ({ input: { prompt } }));
  const { jobId } = await host.client.jobs.create(tasks, { maxParallel: 1 });
  await until(async () => (await host.client.jobs.get(jobId)).counts.inProgress === 1);
  const outside = new Client({ connectionString: store });
  await outside.connect();
  await outside.query(statement);
  await outside.end();
  Deferred.doneUnsafe(go, Effect.void);
  return await collect(host.client.jobs.results(jobId));
};

interface Disk extends Disposable {
  readonly path: string;
  readonly resize: (size: string) => void;
  /** Makes it so small that only these bytes are free. */
  readonly leave: (bytes: number) => void;
}

/** A small file system; or why there is none. */
const mountDisk = (size: string): Disk | string => {
  if (process.getuid?.() !== 0) return "only the superuser can mount a small disk";
  const path = mkdtempSync(join(tmpdir(), "mlxd-disk-"));
  const mount = (...options: readonly string[]) =>
    spawnSync("mount", ["-t", "tmpfs", ...options, "tmpfs", path], { encoding: "utf8" });
  const { status, stderr } = mount("-o", `size=${size}`);
  if (status !== 0) {
    rmSync(path, { recursive: true });
    return `a small disk cannot be mounted here: ${stderr.trim()}`;
  }
  const resize = (other: string) => assert.strictEqual(mount("-o", `remount,size=${other}`).status, 0);
  return {
    path,
    resize,
    leave: (bytes) => {
      const { blocks, bfree, bsize } = statfsSync(path);
      resize(String((blocks - bfree) * bsize + bytes));
    },
    [Symbol.dispose]: () => {
      spawnSync("umount", ["-l", path]);
      rmSync(path, { recursive: true });
    },
  };
};

/** Read past what refuses it. */
const assertHolds = async (directory: string, statement: string, version: number): Promise<void> => {
  const database = await openEmbedded(directory);
  const [row] = await database.query(statement);
  await database.close();
  assert.strictEqual(Number(row?.["version"]), version);
};
