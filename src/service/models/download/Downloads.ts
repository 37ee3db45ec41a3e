/** Models that are fetched from the hub into the model folder. */
import { Context, type Effect } from "effect";

import type {
  ChecksumMismatch,
  DownloadFailed,
  DownloadsOff,
  InsufficientDisk,
  InvalidField,
  ModelAccessDenied,
  ModelBroken,
  ModelNotFound,
  ModelRevisionMismatch,
} from "../../domain/errors.ts";
import type { RemoteFile } from "./choose-files.ts";

export type ResolveFailure =
  | InvalidField
  | ModelNotFound
  | ModelAccessDenied
  | ModelBroken
  | ModelRevisionMismatch
  | DownloadsOff
  | DownloadFailed;
export type DownloadFailure = ResolveFailure | InsufficientDisk | ChecksumMismatch;

/** A repository as it stands at one commit. */
export interface RemoteModel {
  /** As the hub spells it. */
  readonly repository: string;
  readonly commit: string;
  /** The id that the model has, or will have, here: its folder's name. */
  readonly id: string;
  /** Those that make the model. None when it is here already. */
  readonly files: ReadonlyArray<RemoteFile>;
  readonly isPresent: boolean;
  /** Whether they are in the hub's cache on this machine: then the hub is asked for nothing. */
  readonly isCached: boolean;
}

/** Bytes that turn out wrong are taken back. */
export interface DownloadProgress {
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly filesDone: number;
  readonly filesTotal: number;
}

export class Downloads extends Context.Service<
  Downloads,
  {
    /**
     * Finds a repository's files at a revision; empty is `main`. Names that no repository can have are refused before
     * anything is asked of the hub. A model that is here at another commit stays as it is: ModelRevisionMismatch.
     */
    readonly resolve: (repository: string, revision: string) => Effect.Effect<RemoteModel, ResolveFailure>;
    /**
     * Fetches the files, each checked by the hub's hash, and moves them into the model folder at once: until then
     * nothing of them counts as a model. Whoever asks for the same model meanwhile shares the one download; it ends when
     * the last of them is interrupted, and the next one goes on with the bytes that are there.
     */
    readonly download: (
      model: RemoteModel,
      onProgress: (progress: DownloadProgress) => void,
    ) => Effect.Effect<void, DownloadFailure>;
  }
>()("mlxd/models/download/Downloads") {}
