/** The messages between the service and the thread of the embedded store, and the process that makes it. */

export interface EmbeddedRequest {
  /** Counted from 1. */
  readonly id: number;
  readonly text: string;
  readonly values: ReadonlyArray<unknown>;
}

export interface EmbeddedProblem {
  readonly message: string;
  /** SQLSTATE, or a system error code such as `ENOSPC`; empty if there is neither. */
  readonly code: string;
}

export type EmbeddedAnswer =
  /** With id 0: the database is open. `syncs`: how often the file system was asked to flush meanwhile. */
  | { readonly id: number; readonly rows: ReadonlyArray<Record<string, unknown>>; readonly syncs: number }
  /** The statement failed; the next one may succeed. */
  | { readonly id: number; readonly error: EmbeddedProblem }
  /** Postgres has ended, or was never opened: no statement will be answered. */
  | { readonly lost: EmbeddedProblem };

/** A statement failed, or Postgres has ended. */
export class EmbeddedFailure extends Error {
  /** SQLSTATE, or of the system: `ENOSPC`. */
  readonly code: string;

  constructor({ message, code }: EmbeddedProblem) {
    super(message);
    this.code = code;
  }
}
