/** Downloads models from the hub into the model folder. */
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

/** A repository at one commit. */
export interface RemoteModel {
  /** As the hub spells it. */
  readonly repository: string;
  readonly commit: string;
  /** The id that the model has or will have here: its folder's name. */
  readonly id: string;
  /** The files of the model. Empty if the model is here already. */
  readonly files: ReadonlyArray<RemoteFile>;
  readonly isPresent: boolean;
  /** Whether they are in the hub's cache on this machine, so that the hub need not be asked. */
  readonly isCached: boolean;
}

/** The counts go down if bytes turn out to be wrong. */
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
     * Finds a repository's files at a revision; an empty revision is `main`. Invalid names are refused without asking
     * the hub. If the model is here at another commit, it is left alone: ModelRevisionMismatch.
     */
    readonly resolve: (repository: string, revision: string) => Effect.Effect<RemoteModel, ResolveFailure>;
    /**
     * Downloads the files, checks each against the hub's hash, and then moves all of them into the model folder at
     * once; an incomplete download never counts as a model. Concurrent callers for the same model share one download.
     * It ends when the last of them is interrupted, and the next download resumes with the bytes on disk.
     */
    readonly download: (
      model: RemoteModel,
      onProgress: (progress: DownloadProgress) => void,
    ) => Effect.Effect<void, DownloadFailure>;
  }
>()("mlxd/models/download/Downloads") {}
