/** Opens the store of jobs: the database, its tables, and pg-boss's queues in it. */
import { PgBoss } from "pg-boss";

import type { Database } from "./Database.ts";
import { openEmbedded } from "./embedded-database.ts";
import { migrate, NewerStore } from "./migrations.ts";
import { openShared } from "./shared-database.ts";

export interface OpenStore {
  readonly database: Database;
  readonly boss: PgBoss;
  /** Whether committed data survives a power failure; for a shared store that is up to its operator. */
  readonly isDurable: boolean;
  readonly close: () => Promise<void>;
}

/** Whether a setting names a Postgres; otherwise it is a directory. */
export const isShared = (store: string): boolean => /^postgres(ql)?:\/\//.test(store);

/** @param onError called with errors of pg-boss's background work */
export const openStore = async (store: string, onError: (error: Error) => void): Promise<OpenStore> => {
  const database = isShared(store) ? await openShared(store) : await openEmbedded(store);
  const boss = new PgBoss({
    db: { executeSql: async (text, values) => ({ rows: [...(await database.query(text, values))] }) },
    backend: database.backend,
    schema: bossSchema,
    // The housekeeping does pg-boss's supervision, based on the store's own tables.
    supervise: false,
    schedule: false,
    monitorVacuum: false,
  });
  boss.on("error", onError);
  try {
    await migrate(database);
    await assertKnown(database);
    await boss.start();
  } catch (error) {
    await database.close();
    throw error;
  }
  const isDurable = "isDurable" in database ? database.isDurable === true : true;
  return {
    database,
    boss,
    isDurable,
    close: async () => {
      // pg-boss would wait for workers, of which there are none.
      await boss.stop({ graceful: false, close: false }).catch(onError);
      await database.close();
    },
  };
};

const bossSchema = "pgboss";
/** The version of pg-boss 12.35: `pgboss.schema` in its package.json. */
const knownBossVersion = 43;

/** pg-boss itself would use the tables of a newer version. */
const assertKnown = async ({ query }: Database): Promise<void> => {
  const [found] = await query("SELECT to_regclass('pgboss.version')::text AS name");
  if (typeof found?.["name"] !== "string") return;
  const [row] = await query("SELECT version FROM pgboss.version");
  const version = Number(row?.["version"] ?? 0);
  if (version > knownBossVersion) throw new NewerStore(version, knownBossVersion);
};
