/** Which MLX a process uses, and whether its files are the published ones. */

/** The MLX that an engine uses. */
export interface LoadedMlx {
  readonly version: string;
  readonly binding: "own" | "node-mlx";
  /** Why this one is used, in one sentence, or why the default one could not be loaded. */
  readonly reason: string;
}

/** A file of mlxd's own binding. */
export interface MlxFileState {
  readonly name: string;
  /** Hexadecimal; empty if the file is missing. */
  readonly sha256: string;
  /** Whether it is identical to the published file. */
  readonly isPublished: boolean;
}

/** What `describe.ts` reports, in this order. */
export type MlxDescription =
  | { readonly type: "files"; readonly files: ReadonlyArray<MlxFileState> }
  | { readonly type: "loaded"; readonly device: "cpu" | "metal"; readonly mlx: LoadedMlx };
