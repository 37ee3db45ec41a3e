/** Finds a model's files, here or on the hub. */
import { Effect } from "effect";

import type { DownloadSettings } from "../../config/DownloadConfig.ts";
import { DownloadsOff, ModelNotFound, ModelRevisionMismatch } from "../../domain/errors.ts";
import { indexedFiles } from "../../checkpoint/safetensors.ts";
import { nearestNames } from "../names/resolve-name.ts";
import { chooseFiles } from "./choose-files.ts";
import { describeDiskError, describeHubError } from "./describe-failure.ts";
import type { RemoteModel, ResolveFailure } from "./Downloads.ts";
import type { Hub } from "./Hub.ts";
import type { HubCache } from "./HubCache.ts";
import type { ModelFolder } from "./ModelFolder.ts";
import { checkRepository, checkRevision, folderOf } from "../names/repository.ts";
import { type RetryOptions, withRetries } from "./retry.ts";
import { cancellablePromise } from "./cancellable-promise.ts";

export interface FindOptions {
  readonly hub: Hub;
  readonly cache: HubCache;
  readonly folder: ModelFolder;
  readonly config: DownloadSettings;
  readonly retry: RetryOptions;
}

const defaultBranch = "main";

/** The hub is asked only if the model folder has no answer. */
export const findModel = Effect.fnUntraced(function* (
  name: string,
  asked: string,
  options: FindOptions,
): Effect.fn.Return<RemoteModel, ResolveFailure> {
  const { folder, config } = options;
  const repository = yield* Effect.fromResult(checkRepository(name));
  const revision = asked === "" ? "" : yield* Effect.fromResult(checkRevision(asked));
  const here = yield* findHere(folder, repository, revision);
  if (here !== undefined) return here;
  const branch = revision || defaultBranch;
  if (yield* Effect.promise(() => folder.isOneModel())) {
    return yield* new DownloadsOff({ model: repository, hint: "MLXD_MODELS is one model's own folder" });
  }
  if (config.offline) return yield* findInCache(repository, branch, options);
  const hasToken = config.token !== undefined;
  return yield* findAtHub(repository, branch, options).pipe(
    Effect.catchTags({
      HubError: (error) =>
        Effect.fail(describeHubError(error, { repository, revision: branch, endpoint: config.endpoint, hasToken })),
      DiskError: (error) => Effect.fail(describeDiskError(error, repository)),
    }),
    Effect.catchTag("ModelNotFound", (error) => Effect.flatMap(withNearest(error, options.hub), Effect.fail)),
  );
});

/** A local model matches if no revision is requested, or if it was downloaded at the requested commit. */
const findHere = Effect.fnUntraced(function* (folder: ModelFolder, repository: string, revision: string) {
  const id = folderOf(repository);
  if (!(yield* Effect.promise(() => folder.has(id)))) return undefined;
  const commit = (yield* Effect.promise(() => folder.originOf(id)))?.commit ?? "";
  if (revision !== "" && revision !== commit) return undefined;
  return { repository, commit, id, files: [], isPresent: true, isCached: false } satisfies RemoteModel;
});

/** Looks in the cache of the hub's clients, which may have only part of a model. */
const findInCache = Effect.fnUntraced(function* (repository: string, revision: string, { cache, folder }: FindOptions) {
  const off = (hint: string) => new DownloadsOff({ model: repository, hint: `MLXD_OFFLINE is set, and ${hint}` });
  const snapshot = yield* Effect.promise(() => cache.snapshot(repository, revision));
  if (snapshot === undefined) {
    return yield* off("the hub's cache does not have it; put the model into the model folder");
  }
  const { commit, directory } = snapshot;
  const model = { repository, commit, id: folderOf(repository) };
  const present = yield* findPresent(folder, model);
  if (present !== undefined) return present;
  const files = yield* Effect.fromResult(chooseFiles(repository, snapshot.files)).pipe(
    Effect.mapError(({ cause }) => off(`of what the hub's cache has, ${cause}`)),
  );
  const named = yield* Effect.tryPromise({
    try: () => indexedFiles(directory),
    catch: () => off("the hub's cache has an index of the weights that cannot be read"),
  });
  const missing = named?.find((name) => !files.some(({ path }) => path === name));
  if (missing !== undefined) return yield* off(`the hub's cache does not have ${missing}`);
  return { ...model, files, isPresent: false, isCached: true } satisfies RemoteModel;
});

/** The local model; fails if it is at another commit. */
const findPresent = Effect.fnUntraced(function* (
  folder: ModelFolder,
  model: Pick<RemoteModel, "repository" | "commit" | "id">,
) {
  if (!(yield* Effect.promise(() => folder.has(model.id)))) return undefined;
  const loaded = (yield* Effect.promise(() => folder.originOf(model.id)))?.commit ?? "(unknown)";
  if (loaded !== model.commit) {
    return yield* new ModelRevisionMismatch({ model: model.id, asked: model.commit, loaded });
  }
  return { ...model, files: [], isPresent: true, isCached: false } satisfies RemoteModel;
});

const findAtHub = Effect.fnUntraced(function* (name: string, revision: string, { hub, folder, retry }: FindOptions) {
  const ask = <A>(request: (signal: AbortSignal) => Promise<A>) => withRetries(cancellablePromise(request), retry);
  const { repository, commit } = yield* ask((signal) => hub.resolve(name, revision, signal));
  const model = { repository, commit, id: folderOf(repository) };
  const present = yield* findPresent(folder, model);
  if (present !== undefined) return present;
  const all = yield* ask((signal) => hub.files({ repository, commit }, signal));
  const files = yield* Effect.fromResult(chooseFiles(repository, all));
  return { ...model, files, isPresent: false, isCached: false } satisfies RemoteModel;
});

/** If the search for similar names fails, there are no suggestions. */
const withNearest = ({ model }: ModelNotFound, hub: Hub): Effect.Effect<ModelNotFound> =>
  cancellablePromise((signal) => hub.similar(model, signal)).pipe(
    Effect.orElseSucceed((): ReadonlyArray<string> => []),
    Effect.map((found) => {
      const known = found.map((id) => ({ id, aliases: [], source: id }));
      return new ModelNotFound({ model, nearest: nearestNames(known, model) });
    }),
  );
