/** The interface of the store to Postgres, embedded or shared. */

export type Row = Readonly<Record<string, unknown>>;

export interface Session {
  /** One statement; or several if there are no values. */
  readonly query: (text: string, values?: ReadonlyArray<unknown>) => Promise<ReadonlyArray<Row>>;
}

export interface Database extends Session {
  /** pg-boss's name for it. */
  readonly backend: "postgres" | "pglite";
  /**
   * Commits when the work is done, and rolls back if it fails. Calls within the work take part in the transaction, even
   * calls of the database's own `query`, which pg-boss makes.
   */
  readonly transaction: <A>(work: (session: Session) => Promise<A>) => Promise<A>;
  /** Whether it will never answer again, so that it has to be closed and reopened. */
  readonly isLost: () => boolean;
  readonly close: () => Promise<void>;
}
