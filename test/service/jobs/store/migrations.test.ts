/** Stores of earlier versions: what is in them, and hosts of an earlier version that still use them. */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, beforeEach, describe, it } from "vitest";

import type { Database, Session } from "../../../../src/service/jobs/store/Database.ts";
import { type EmbeddedDatabase, openEmbedded } from "../../../../src/service/jobs/store/embedded-database.ts";
import { migrate, NewerStore } from "../../../../src/service/jobs/store/migrations.ts";
import { openShared } from "../../../../src/service/jobs/store/shared-database.ts";
import { errorOf } from "../../../support/error-of.ts";
import { startPostgres } from "../../../support/postgres.ts";
import { until } from "../../../support/until.ts";

/** A job with an item and an event, in the columns that the first version has. */
const addJobTo = async ({ query }: Session): Promise<string> => {
  const id = randomUUID();
  await query(
    `INSERT INTO mlxd.job (id, tenant, caller, request_id, fingerprint, state, sealed, single, options, defaults, labels,
     priority, expires_at) VALUES ($1, 'acme', '{}', $2, '{}', 'pending', true, true, '{}', '', '{}', 0, now())`,
    [id, id],
  );
  await addItem({ query }, id, 0);
  await query("INSERT INTO mlxd.event (job_id, sequence, event) VALUES ($1, 1, '{}')", [id]);
  return id;
};

const addItem = ({ query }: Session, jobId: string, index: number) =>
  query(
    "INSERT INTO mlxd.item (job_id, index, item_id, model, hash, state) VALUES ($1, $2, '', 'demo', '', 'pending')",
    [jobId, index],
  );

/** Only what hangs takes as long: to make a store takes seconds of a processor. */
describe("the tables of a store", { timeout: 600_000 }, () => {
  let directory: string;
  let database: EmbeddedDatabase;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "mlxd-migrations-"));
    database = await openEmbedded(directory);
  });
  beforeEach(() => database.query("DROP SCHEMA mlxd CASCADE"));
  afterAll(async () => {
    await database.close();
    rmSync(directory, { recursive: true });
  });

  const addJob = () => addJobTo(database);
  /** As hosts of each version do it. */
  const deleteJob = (id: string) => database.query("DELETE FROM mlxd.job WHERE id = $1", [id]);
  const contents = async () => {
    const rows = await database.query(
      `SELECT 'job' AS name, id::text FROM mlxd.job UNION ALL SELECT 'item', job_id::text FROM mlxd.item
       UNION ALL SELECT 'event', job_id::text FROM mlxd.event`,
    );
    return rows.map(({ name, id }) => `${String(name)} ${String(id)}`).toSorted();
  };
  const partsOf = (...ids: ReadonlyArray<string>) =>
    ids.flatMap((id) => [`event ${id}`, `item ${id}`, `job ${id}`]).toSorted();

  it.each([1, 2, 3])(
    "of version %d keep what is in them when they are migrated, and a job takes its own along",
    async (version) => {
      await migrate(database, version);
      const [kept, deleted] = [await addJob(), await addJob()];
      await migrate(database);
      await migrate(database);
      assert.deepEqual(await contents(), partsOf(kept, deleted));
      await deleteJob(deleted);
      assert.deepEqual(await contents(), partsOf(kept));
    },
  );

  it("lose what a host of the first version left when it deleted a job of the second", async () => {
    await migrate(database, 2);
    const [kept, deleted] = [await addJob(), await addJob()];
    await deleteJob(deleted);
    assert.lengthOf(await contents(), 5);
    await migrate(database);
    assert.deepEqual(await contents(), partsOf(kept));
  });

  it("of a newer version are left as they are", async () => {
    await migrate(database);
    const id = await addJob();
    const error = await errorOf(migrate(database, 1));
    assert.instanceOf(error, NewerStore);
    assert.include(error.message, "knows version 1");
    assert.deepEqual(await contents(), partsOf(id));
  });
});

/** Does this while another host has the job's row, which then adds an item to the job and leaves it. */
const whileJobIsLocked = async (
  { older, newer }: { readonly older: Database; readonly newer: Database },
  id: string,
  work: (newer: Database) => Promise<unknown>,
): Promise<void> => {
  let working: Promise<unknown> | undefined;
  await older.transaction(async (session) => {
    await session.query("SELECT 1 FROM mlxd.job WHERE id = $1 FOR UPDATE", [id]);
    working = work(newer);
    working.catch(() => {}); // its failure is told below
    await until(async () => {
      const [row] = await session.query("SELECT count(*)::int AS waiting FROM pg_locks WHERE NOT granted");
      return row?.["waiting"] === 1;
    });
    await addItem(session, id, 1);
  });
  await working;
};

describe("the tables of a Postgres", { timeout: 600_000 }, () => {
  let postgres: Awaited<ReturnType<typeof startPostgres>>;
  let hosts: { readonly older: Database; readonly newer: Database };
  beforeAll(async () => {
    postgres = await startPostgres();
    if (typeof postgres === "string") return;
    hosts = { older: await openShared(postgres.url), newer: await openShared(postgres.url) };
  });
  beforeEach((context) => {
    if (typeof postgres === "string") context.skip(postgres);
  });
  afterAll(async () => {
    if (typeof postgres === "string") return;
    await Promise.all([hosts.older.close(), hosts.newer.close()]);
    await postgres[Symbol.asyncDispose]();
  });
  const itemsOf = (id: string) => hosts.newer.query("SELECT index FROM mlxd.item WHERE job_id = $1", [id]);

  it("are migrated between the transactions of its other hosts", async () => {
    await migrate(hosts.older, 1);
    const id = await addJobTo(hosts.older);
    await whileJobIsLocked(hosts, id, migrate);
    assert.lengthOf(await itemsOf(id), 2);
  });

  it("have nothing of a job that was added to while its deletion waited", async () => {
    await migrate(hosts.older);
    const id = await addJobTo(hosts.older);
    await whileJobIsLocked(hosts, id, ({ query }) => query("DELETE FROM mlxd.job WHERE id = $1", [id]));
    assert.isEmpty(await itemsOf(id));
  });
});
