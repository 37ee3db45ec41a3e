/** What callers are told where the store of jobs cannot be used, and that nobody else notices. */
import { randomUUID } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it, vi } from "vitest";

import { createMlxdClient, MlxdError } from "../../../src/client/node.ts";
import { openEmbedded } from "../../../src/service/jobs/store/embedded-database.ts";
import { openStore } from "../../../src/service/jobs/store/open-store.ts";
import { collect } from "../../support/collect.ts";
import { errorOf } from "../../support/error-of.ts";
import { startPostgres } from "../../support/postgres.ts";
import { startTestServer } from "../../support/test-server.ts";

const mlxdErrorOf = async (promise: Promise<unknown>): Promise<MlxdError> => {
  const error = await errorOf(promise);
  assert.instanceOf(error, MlxdError);
  return error;
};

const start = async (store: string) => {
  const server = await startTestServer({ jobs: { store } });
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

/** Read past what refuses it. */
const assertHolds = async (directory: string, statement: string, version: number): Promise<void> => {
  const database = await openEmbedded(directory);
  const [row] = await database.query(statement);
  await database.close();
  assert.strictEqual(Number(row?.["version"]), version);
};
