/** A Postgres, embedded or shared, as the store speaks to it. */

export type Row = Readonly<Record<string, unknown>>;

export interface Session {
  /** One statement; or several, where there are no values. */
  readonly query: (text: string, values?: ReadonlyArray<unknown>) => Promise<ReadonlyArray<Row>>;
}

export interface Database extends Session {
  /** What pg-boss calls it. */
  readonly backend: "postgres" | "pglite";
  /**
   * Commits when the work is done, and rolls back where it fails. What the work calls takes part in it, also where it calls `query` of
   * the database itself, as pg-boss does.
   */
  readonly transaction: <A>(work: (session: Session) => Promise<A>) => Promise<A>;
  /** Whether it will answer again: one that will not is closed and opened anew. */
  readonly isLost: () => boolean;
  readonly close: () => Promise<void>;
}
