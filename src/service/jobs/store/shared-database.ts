/** The store of several hosts: a shared Postgres. */
import { AsyncLocalStorage } from "node:async_hooks";
import { Pool, type PoolClient } from "pg";

import type { Database, Row, Session } from "./Database.ts";

/** Connections per host. */
const connections = 4;
const connectWithinMs = 10_000;
/** No statement of the store takes this long: one that does waits for something that no longer exists. */
const statementWithinMs = 60_000;

export const openShared = async (url: string): Promise<Database> => {
  const pool = new Pool({
    connectionString: url,
    max: connections,
    connectionTimeoutMillis: connectWithinMs,
    statement_timeout: statementWithinMs,
    query_timeout: statementWithinMs + 5_000,
    application_name: "mlxd",
    keepAlive: true,
  });
  // If an idle connection breaks, the next statement opens a new one.
  pool.on("error", () => {});
  const own = new AsyncLocalStorage<Session>();
  const outside = sessionOf(pool);
  const query: Session["query"] = (text, values) => (own.getStore() ?? outside).query(text, values);
  try {
    await query("SELECT 1");
  } catch (error) {
    await pool.end();
    throw error;
  }
  return {
    backend: "postgres",
    query,
    transaction: async (work) => {
      const client = await pool.connect();
      let broken: Error | undefined;
      // Without a listener, an error between two statements would end the process.
      const onError = (error: Error): void => void (broken = error);
      client.on("error", onError);
      try {
        await client.query("BEGIN");
        const done = await own.run(sessionOf(client), () => work(sessionOf(client)));
        await client.query("COMMIT");
        return done;
      } catch (error) {
        await client.query("ROLLBACK").catch((cause: Error) => (broken = cause));
        throw error;
      } finally {
        client.off("error", onError);
        client.release(broken);
      }
    },
    isLost: () => false,
    close: () => pool.end(),
  };
};

const sessionOf = (client: Pool | PoolClient): Session => ({
  query: async (text, values) => {
    // Several statements have several results.
    const result: unknown = await client.query(text, values === undefined ? undefined : [...values]);
    const results = Array.isArray(result) ? result : [result];
    return results.flatMap(({ rows }: { readonly rows?: ReadonlyArray<Row> }) => rows ?? []);
  },
});
