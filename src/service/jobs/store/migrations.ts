/** The store's own tables, in addition to those of pg-boss, which has its own migrations. */
import type { Database } from "./Database.ts";

/** The store was made by a newer mlxd. */
export class NewerStore extends Error {
  constructor(version: number, known: number) {
    super(`it is of version ${version}, and this mlxd knows version ${known}: run the newer mlxd that made it`);
  }
}

/**
 * Each one migrates from the previous version to its own number, counted from 1. A released migration is never changed.
 *
 * - `job`: one row per job. `fingerprint` tells whether a repeated CreateJob with the same request id has the same
 *   content.
 * - `lane`: the items of a job for one model wait in a separate pg-boss queue, which belongs to the lane.
 * - `item`: the task of an item and its outcome. An item with a sequence is settled. `attempt` guards it: only the host
 *   that runs the current attempt may settle it.
 * - `event`: events for a job's watchers, except those that follow from the item's row.
 * - `host`: the hosts that run items. A host whose time is over has died, and its items are given back.
 */
const migrations: ReadonlyArray<string> = [
  `
  CREATE TABLE mlxd.host (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    alive_until timestamptz NOT NULL
  );
  CREATE TABLE mlxd.job (
    id uuid PRIMARY KEY,
    place bigint GENERATED ALWAYS AS IDENTITY,
    tenant text NOT NULL,
    caller jsonb NOT NULL,
    request_id text NOT NULL,
    fingerprint jsonb NOT NULL,
    state text NOT NULL,
    sealed boolean NOT NULL,
    single boolean NOT NULL,
    options jsonb NOT NULL,
    defaults text NOT NULL,
    labels jsonb NOT NULL,
    priority int NOT NULL,
    total int NOT NULL DEFAULT 0,
    completed int NOT NULL DEFAULT 0,
    failed int NOT NULL DEFAULT 0,
    item_bytes bigint NOT NULL DEFAULT 0,
    prompt_tokens bigint NOT NULL DEFAULT 0,
    cached_prompt_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    last_sequence int NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    expires_at timestamptz NOT NULL,
    delete_at timestamptz,
    UNIQUE (tenant, request_id)
  );
  CREATE INDEX job_open ON mlxd.job (expires_at) WHERE state IN ('pending', 'in-progress');
  CREATE INDEX job_kept ON mlxd.job (delete_at) WHERE delete_at IS NOT NULL;
  CREATE INDEX job_listed ON mlxd.job (tenant, place);
  CREATE TABLE mlxd.lane (
    job_id uuid NOT NULL REFERENCES mlxd.job ON DELETE CASCADE,
    model text NOT NULL,
    queue text NOT NULL UNIQUE,
    waiting int NOT NULL,
    PRIMARY KEY (job_id, model)
  );
  CREATE TABLE mlxd.item (
    job_id uuid NOT NULL REFERENCES mlxd.job ON DELETE CASCADE,
    index int NOT NULL,
    item_id text NOT NULL,
    model text NOT NULL,
    hash text NOT NULL,
    task text,
    state text NOT NULL,
    attempt int NOT NULL DEFAULT 0,
    counted int NOT NULL DEFAULT 0,
    attempts jsonb NOT NULL DEFAULT '[]',
    host uuid,
    retry_at timestamptz,
    sequence int,
    outcome text,
    PRIMARY KEY (job_id, index)
  );
  CREATE INDEX item_settled ON mlxd.item (job_id, sequence) WHERE sequence IS NOT NULL;
  CREATE INDEX item_running ON mlxd.item (job_id, host) WHERE state = 'in-progress';
  CREATE TABLE mlxd.event (
    job_id uuid NOT NULL REFERENCES mlxd.job ON DELETE CASCADE,
    sequence int NOT NULL,
    event text NOT NULL,
    PRIMARY KEY (job_id, sequence)
  );
  `,
  // Checked for each row, they took a third of the time to store it.
  `
  ALTER TABLE mlxd.item DROP CONSTRAINT item_job_id_fkey;
  ALTER TABLE mlxd.event DROP CONSTRAINT event_job_id_fkey;
  CREATE INDEX item_named ON mlxd.item (job_id, item_id) WHERE item_id <> '';
  `,
  // Instead of their ON DELETE CASCADE, on which hosts of the first version rely while others are upgraded. Whoever adds to
  // a job locks its row, so nothing is added once that is deleted.
  `
  CREATE FUNCTION mlxd.remove_contents() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      DELETE FROM mlxd.item WHERE job_id = OLD.id;
      DELETE FROM mlxd.event WHERE job_id = OLD.id;
      RETURN NULL;
    END
  $$;
  CREATE TRIGGER job_removed AFTER DELETE ON mlxd.job FOR EACH ROW EXECUTE FUNCTION mlxd.remove_contents();
  DELETE FROM mlxd.item i WHERE NOT EXISTS (SELECT 1 FROM mlxd.job j WHERE j.id = i.job_id);
  DELETE FROM mlxd.event e WHERE NOT EXISTS (SELECT 1 FROM mlxd.job j WHERE j.id = e.job_id);
  `,
];

/**
 * Throws NewerStore without changing anything. Hosts that start at the same time do it one after another.
 *
 * @param to the version that it is brought to: an older one is what an older mlxd had
 */
export const migrate = async (database: Database, to = migrations.length): Promise<void> => {
  await database.transaction(async ({ query }) => {
    await query("SELECT pg_advisory_xact_lock($1)", [advisoryLock]);
    await query("CREATE SCHEMA IF NOT EXISTS mlxd; CREATE TABLE IF NOT EXISTS mlxd.version (version int NOT NULL)");
    const [row] = await query("SELECT version FROM mlxd.version");
    const version = Number(row?.["version"] ?? 0);
    if (version > to) throw new NewerStore(version, to);
    if (version === to) return;
    // As transactions of other hosts do: one that has a job and waits for its items would end in a deadlock.
    if (version > 0) await query("LOCK TABLE mlxd.job IN ACCESS EXCLUSIVE MODE");
    for (const statements of migrations.slice(version, to)) await query(statements);
    await query("DELETE FROM mlxd.version");
    await query("INSERT INTO mlxd.version VALUES ($1)", [to]);
  });
};

/** Any number that nothing else on this database uses. */
const advisoryLock = 0x6d6c7864;
