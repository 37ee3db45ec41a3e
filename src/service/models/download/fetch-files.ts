/** Fetches a model's files into its staging folder. */
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { Effect, type Semaphore } from "effect";

import { ChecksumMismatch } from "../../domain/errors.ts";
import { isIntact } from "./checksum.ts";
import type { RemoteFile } from "./choose-files.ts";
import type { RemoteModel } from "./Downloads.ts";
import type { Hub } from "./Hub.ts";
import type { HubCache } from "./HubCache.ts";
import type { HubError } from "./hub-error.ts";
import { sizeOf } from "./ModelFolder.ts";
import type { ProgressMeter } from "./progress-meter.ts";
import { type RetryOptions, withRetries } from "./retry.ts";
import { type DiskError, cancellablePromise } from "./cancellable-promise.ts";
import { transferFile } from "./transfer-file.ts";

export interface FetchOptions extends RetryOptions {
  readonly hub: Hub;
  /** One permit for each file that may be fetched at the same time. */
  readonly permits: Semaphore.Semaphore;
  readonly stallMs: number;
}

/** How often a file with a wrong checksum is fetched. */
const maxChecksumAttempts = 3;

/** A file gets its own name in the folder only after it was verified. */
export const fetchFiles = (
  model: RemoteModel,
  staging: string,
  meter: ProgressMeter,
  options: FetchOptions,
): Effect.Effect<void, HubError | DiskError | ChecksumMismatch> =>
  Effect.forEach(
    model.files,
    (file) => options.permits.withPermits(1)(fetchFile(model, file, join(staging, file.path), meter, options)),
    { concurrency: "unbounded", discard: true },
  );

/**
 * Takes files from the hub's cache and verifies them like all others. If the model was found in the cache only, a
 * corrupt file is an error, because there is no other source.
 */
export const takeCached = Effect.fnUntraced(function* (
  { repository, commit, files, isCached }: RemoteModel,
  staging: string,
  meter: ProgressMeter,
  cache: HubCache,
): Effect.fn.Return<void, HubError | DiskError | ChecksumMismatch> {
  for (const file of files) {
    const path = join(staging, file.path);
    if (yield* cancellablePromise(() => isThere(path, file))) continue;
    // Never the incomplete file: it may become a hard link, and writing to it would then change the cache.
    const taken = `${path}.cached`;
    yield* cancellablePromise(() => rm(taken, { force: true }));
    const found = yield* cancellablePromise(() => cache.take(repository, commit, file, taken));
    if (found && (yield* cancellablePromise((signal) => isIntact(taken, file, signal)))) {
      yield* cancellablePromise(() => rename(taken, path));
      meter.setDone(file);
    } else {
      yield* cancellablePromise(() => rm(taken, { force: true }));
      if (isCached) return yield* new ChecksumMismatch({ model: repository, file: file.path, attempts: 1 });
    }
  }
});

const fetchFile = Effect.fnUntraced(function* (
  model: RemoteModel,
  file: RemoteFile,
  path: string,
  meter: ProgressMeter,
  { hub, stallMs, ...retry }: FetchOptions,
): Effect.fn.Return<void, HubError | DiskError | ChecksumMismatch> {
  if (yield* cancellablePromise(() => isThere(path, file))) return meter.setDone(file);
  const partial = partialOf(path);
  /** The most bytes that were on disk so far: bytes that are lost and fetched again are not progress. */
  let most = 0;
  let mostBefore = 0;
  const transfer = cancellablePromise((signal) =>
    transferFile(
      {
        partial,
        size: file.size,
        open: (fromByte, stallSignal) => hub.open(model, file.path, fromByte, stallSignal),
        onBytes: (now) => {
          most = Math.max(most, now);
          meter.setBytes(file, now);
        },
        stallMs,
      },
      signal,
    ),
  );
  const hasProgressed = (): boolean => {
    const progressed = most > mostBefore;
    mostBefore = most;
    return progressed;
  };
  for (let attempt = 1; attempt <= maxChecksumAttempts; attempt++) {
    yield* withRetries(transfer, retry, hasProgressed);
    if (yield* cancellablePromise((signal) => isIntact(partial, file, signal))) {
      yield* cancellablePromise(() => rename(partial, path));
      return meter.setDone(file);
    }
    yield* cancellablePromise(() => rm(partial));
    meter.setBytes(file, 0);
    most = 0;
    mostBefore = 0;
  }
  return yield* new ChecksumMismatch({ model: model.repository, file: file.path, attempts: maxChecksumAttempts });
});

/** How many bytes of the model's files are still missing from the folder. */
export const missingBytes = async (staging: string, files: ReadonlyArray<RemoteFile>): Promise<number> => {
  const missing = await Promise.all(
    files.map(async (file) => {
      const path = join(staging, file.path);
      if (await isThere(path, file)) return 0;
      return Math.max(0, file.size - (await sizeOf(partialOf(path))));
    }),
  );
  return missing.reduce((total, bytes) => total + bytes, 0);
};

const partialOf = (path: string): string => `${path}.part`;
/** An empty file cannot be told from a missing one: it is fetched again, which transfers no bytes. */
const isThere = async (path: string, { size }: RemoteFile): Promise<boolean> =>
  size > 0 && (await sizeOf(path)) === size;
