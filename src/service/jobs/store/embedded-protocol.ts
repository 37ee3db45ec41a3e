/** The messages between the service and the thread of the embedded store. */

export interface EmbeddedRequest {
  /** Counted from 1. */
  readonly id: number;
  readonly text: string;
  readonly values: ReadonlyArray<unknown>;
}

export type EmbeddedAnswer =
  /** With id 0: it is open. `syncs`: how often the file system was told to flush meanwhile. */
  | { readonly id: number; readonly rows: ReadonlyArray<Record<string, unknown>>; readonly syncs: number }
  | {
      readonly id: number;
      readonly error: {
        readonly message: string;
        /** SQLSTATE, or a system error code such as `ENOSPC`. */
        readonly code: string;
      };
    };
