/** What the service and the thread of the embedded store tell each other. */

export interface EmbeddedRequest {
  /** From 1. */
  readonly id: number;
  readonly text: string;
  readonly values: ReadonlyArray<unknown>;
}

export type EmbeddedAnswer =
  /** Of id 0: it is open. `syncs`: how often the disk was told meanwhile to keep what was written. */
  | { readonly id: number; readonly rows: ReadonlyArray<Record<string, unknown>>; readonly syncs: number }
  | {
      readonly id: number;
      readonly error: {
        readonly message: string;
        /** SQLSTATE, or of the system: `ENOSPC`. */
        readonly code: string;
      };
    };
