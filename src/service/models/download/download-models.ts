/** Downloads over HTTP: check the disk, fetch, verify, move into place. */
import { statfs } from "node:fs/promises";
import { Cause, Effect, type Exit, Layer, Schedule, Semaphore } from "effect";

import { DownloadConfig } from "../../config/DownloadConfig.ts";
import { ModelsConfig } from "../../config/ModelsConfig.ts";
import { InsufficientDisk } from "../../domain/errors.ts";
import { Metrics } from "../../telemetry/metrics/Metrics.ts";
import { makeSharedRuns } from "./shared-runs.ts";
import { describeDiskError, describeHubError } from "./describe-failure.ts";
import { type DownloadFailure, type DownloadProgress, Downloads, type RemoteModel } from "./Downloads.ts";
import { fetchFiles, missingBytes, takeCached } from "./fetch-files.ts";
import { findModel } from "./find-model.ts";
import { createHub } from "./Hub.ts";
import { HubCache } from "./HubCache.ts";
import { ModelFolder } from "./ModelFolder.ts";
import { ProgressMeter } from "./progress-meter.ts";
import type { RetryOptions } from "./retry.ts";
import { cancellablePromise } from "./cancellable-promise.ts";

export interface DownloadsOptions extends RetryOptions {
  /** Free bytes of the file system that holds a folder. */
  readonly freeBytes: (directory: string) => Promise<number>;
  /** A connection that delivers nothing for this long is dropped. */
  readonly stallMs: number;
}

/** Disk space that is left free for the rest of the machine. */
const reservedBytes = 64 * 1024 ** 2;
const progressIntervalMs = 200;

const defaults: DownloadsOptions = {
  maxAttempts: 6,
  backoffMs: 500,
  stallMs: 60_000,
  freeBytes: async (directory) => {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  },
};

/** Downloads end with the layer's scope. */
export const layerWith = (
  options: Partial<DownloadsOptions>,
): Layer.Layer<Downloads, never, DownloadConfig | ModelsConfig | Metrics> =>
  Layer.effect(
    Downloads,
    Effect.gen(function* () {
      const { directory } = yield* ModelsConfig;
      const config = yield* DownloadConfig;
      const metrics = yield* Metrics;
      const { freeBytes, stallMs, ...retry } = { ...defaults, ...options };
      const folder = new ModelFolder(directory);
      const hub = createHub(config);
      const cache = new HubCache(config.cacheDirectory);
      const permits = yield* Semaphore.make(config.concurrency);
      const runs = yield* makeSharedRuns<DownloadProgress, void, DownloadFailure>(() => true);
      /** Names of the staging folders in use. */
      const staged = new Set<string>();

      const room = Effect.fnUntraced(function* ({ repository: model, files }: RemoteModel, staging: string) {
        const neededBytes = yield* cancellablePromise(() => missingBytes(staging, files));
        const availableBytes = Math.max(0, (yield* cancellablePromise(() => freeBytes(staging))) - reservedBytes);
        return new InsufficientDisk({ model, neededBytes, availableBytes });
      });

      const fetch = Effect.fnUntraced(function* (
        model: RemoteModel,
        name: string,
        onProgress: (progress: DownloadProgress) => void,
      ) {
        const { repository, commit, id, files } = model;
        // Another download may have brought the model since it was resolved.
        if ((yield* cancellablePromise(() => folder.originOf(id)))?.commit === commit) return;
        const staging = yield* cancellablePromise(() => folder.openStaging(name));
        const meter = new ProgressMeter(files);
        const bring = Effect.gen(function* () {
          yield* takeCached(model, staging, meter, cache);
          if (model.isCached) return;
          const disk = yield* room(model, staging);
          if (disk.neededBytes > disk.availableBytes) return yield* disk;
          yield* fetchFiles(model, staging, meter, { hub, permits, stallMs, ...retry });
        });
        const report = Effect.sync(() => onProgress(meter.progress));
        const reports = Effect.andThen(Effect.repeat(report, Schedule.spaced(progressIntervalMs)), Effect.never);
        yield* Effect.raceFirst(bring, reports).pipe(
          Effect.onExit((exit) => Effect.sync(() => metrics.download(endOf(exit), meter.progress.bytesTotal))),
          Effect.catchTag("DiskError", (error) =>
            error.isFull ? Effect.flatMap(room(model, staging), Effect.fail) : Effect.fail(error),
          ),
        );
        yield* report;
        yield* cancellablePromise(() => folder.publish(staging, id, { repository, commit }));
        yield* cancellablePromise(() => folder.discardStaging(id, (each) => staged.has(each)));
      });

      const start = (model: RemoteModel, name: string) => (onProgress: (progress: DownloadProgress) => void) => {
        const { repository, commit } = model;
        const hasToken = config.token !== undefined;
        const request = { repository, revision: commit, endpoint: config.endpoint, hasToken };
        return Effect.sync(() => staged.add(name)).pipe(
          Effect.andThen(fetch(model, name, onProgress)),
          Effect.ensuring(Effect.sync(() => staged.delete(name))),
          Effect.catchTags({
            HubError: (error) => Effect.fail(describeHubError(error, request)),
            DiskError: (error) => Effect.fail(describeDiskError(error, repository)),
          }),
          Effect.tap(() => Effect.logInfo("model downloaded")),
          Effect.tapError((error) =>
            Effect.annotateLogs(Effect.logWarning("download failed"), { cause: error.message }),
          ),
          Effect.annotateLogs({ model: repository, commit }),
        );
      };

      return Downloads.of({
        resolve: Effect.fn("Downloads.resolve")((repository, revision) =>
          findModel(repository, revision, { hub, cache, folder, config, retry }),
        ),
        download: Effect.fn("Downloads.download")((model, onProgress) => {
          if (model.isPresent) return Effect.void;
          const name = `${model.id}@${model.commit}`;
          return runs.join(name, start(model, name), onProgress);
        }),
      });
    }),
  );

const endOf = (exit: Exit.Exit<unknown, unknown>) => {
  if (exit._tag === "Success") return "succeeded";
  return Cause.hasInterruptsOnly(exit.cause) ? "cancelled" : "failed";
};

export const layer = layerWith({});
