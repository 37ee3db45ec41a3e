/** Decides from a model's name where the model comes from, before anything else is done. */
import { basename } from "node:path";
import { Effect, Result } from "effect";

import { localEngineName, splitEnginePrefix } from "../../domain/engine-names.ts";
import { ModelNotDownloaded, ModelNotFound, ModelRevisionMismatch } from "../../domain/errors.ts";
import type { HubModel, ModelStatus } from "../../domain/model.ts";
import { aliasAt } from "../../domain/model-aliases.ts";
import { identifyModel, type ModelIdentity } from "../../domain/model-identity.ts";
import { checkRepository, checkRevision, folderOf } from "../../models/names/repository.ts";
import type { Models } from "../../models/Models.ts";

/** A local model with its id, or a repository. */
export type ModelLocation = LocalModel | HubLocation;

interface LocalModel {
  readonly type: "here";
  readonly id: string;
  readonly resolution: ModelIdentity;
}

export interface HubLocation extends HubModel {
  readonly type: "hub";
  readonly id: string;
  /** Whether the catalog has a model with this id; its files may not be here yet. */
  readonly isKnown: boolean;
  readonly resolution: ModelIdentity;
}

/** Refuses what can be refused without asking the hub: an invalid name, or a revision other than the local model's. */
export const locateModel = Effect.fnUntraced(function* (models: Models["Service"], asked: string, wanted: string) {
  const revision = wanted.trim();
  if (revision !== "") yield* Effect.fromResult(checkRevision(revision));
  const known = yield* Effect.result(models.get(asked));
  if (Result.isFailure(known)) {
    const prefixed = splitEnginePrefix(asked);
    const plain = prefixed?.model ?? asked.trim();
    const isOwn = prefixed === undefined || prefixed.engine === localEngineName;
    const name = (isOwn ? aliasAt(localEngineName, plain) : undefined) ?? plain;
    // A name without a slash can only mean a local model.
    if (!(known.failure instanceof ModelNotFound) || !name.includes("/")) return yield* known.failure;
    const repository = yield* Effect.fromResult(checkRepository(name));
    const resolution = yield* Effect.fromResult(identifyModel(asked, { aliasOf: () => name }));
    const hub = { repository, revision, resolution };
    return { type: "hub", id: folderOf(repository), isKnown: false, ...hub } satisfies HubLocation;
  }
  const { facts, files, download } = known.success;
  const resolution = yield* identify(asked, known.success);
  if (download !== undefined) {
    const hub = { ...download, revision: revision === "" ? download.revision : revision };
    return { type: "hub", id: facts.id, isKnown: true, ...hub, resolution } satisfies HubLocation;
  }
  if (revision === "" || revision === facts.revision)
    return { type: "here", id: facts.id, resolution } satisfies LocalModel;
  // The local model is never replaced, and a download would become a second model beside it.
  const isOfRepository = Result.isSuccess(checkRepository(facts.source));
  if (files === undefined || !isOfRepository || basename(files.directory) !== folderOf(facts.source)) {
    return yield* new ModelRevisionMismatch({ model: facts.id, asked: revision, loaded: facts.revision });
  }
  return {
    type: "hub",
    id: facts.id,
    isKnown: true,
    repository: facts.source,
    revision,
    resolution,
  } satisfies HubLocation;
});

/** A model that has yet to be downloaded does not count as local. */
export const locateHere = Effect.fnUntraced(function* (models: Models["Service"], asked: string) {
  const status = yield* models.get(asked);
  const { facts, download } = status;
  if (download !== undefined) {
    return yield* new ModelNotDownloaded({ model: facts.id, repository: download.repository });
  }
  return { type: "here", id: facts.id, resolution: yield* identify(asked, status) } satisfies LocalModel;
});

/** Only the catalog knows the other names of models. */
const identify = (asked: string, { facts, download }: ModelStatus) => {
  const real = download?.repository ?? (facts.source || facts.id);
  // An empty name is the default model.
  const inputId = asked.trim() === "" ? facts.id : asked;
  return Effect.map(
    Effect.fromResult(identifyModel(inputId, { engineHint: facts.engine, aliasOf: () => real })),
    (identity) => ({ ...identity, inputId: asked }),
  );
};
