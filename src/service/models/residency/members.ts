/** The models of a catalog with their slots, and the differences between two catalogs. */
import { isDeepStrictEqual } from "node:util";
import { type Effect, Redacted, Result } from "effect";

import type { FilesUnusable, ModelChanged } from "../../domain/errors.ts";
import type { ModelCondition } from "../../domain/model.ts";
import { adapterBytes } from "../files/adapters.ts";
import type { ConversationDriver } from "../../engine/Engines.ts";
import type { CatalogEntry, FolderEntry } from "../catalog/catalog.ts";
import type { ConversationEntry } from "../catalog/declared-conversation-model.ts";
import type { ModelSlot } from "./ModelSlot.ts";
import type { CatalogChange } from "../Models.ts";
import type { PromptTools } from "../prompting/PromptTools.ts";
import { type NameFailure, resolveName } from "../names/resolve-name.ts";

export type Member = FolderMember | ConversationMember;

export interface FolderMember {
  readonly takes: "tokens";
  readonly entry: FolderEntry;
  /** Read once and cached. */
  readonly tools: Effect.Effect<PromptTools, FilesUnusable | ModelChanged>;
  /** The folder's stamp when it was read; only for a model that cannot be used. */
  readonly stamp: string | undefined;
  readonly slot: ModelSlot;
}

interface ConversationMember {
  readonly takes: "conversations";
  readonly entry: ConversationEntry;
  readonly driver: ConversationDriver;
  readonly slot: ModelSlot;
}

type Members = ReadonlyArray<Member>;

export const findMember = (members: Members, name: string): Result.Result<Member, NameFailure> => {
  const named = members.map((member) => ({
    ...member.entry.facts,
    backend: member.takes === "conversations" ? member.entry.backend.name : undefined,
    preferredEngines: member.entry.profile.preferredEngines,
    member,
  }));
  return Result.map(resolveName(named, name), ({ member }) => member);
};

/**
 * The default model. Without a configured name it stays the one that it was while that can be used, so that a new model
 * does not replace it. Undefined only if there is no model at all.
 */
export const findDefault = (
  members: Members,
  name: string,
  before: Member | undefined,
): Result.Result<Member | undefined, NameFailure> => {
  if (name !== "") return findMember(members, name);
  const usable = members.filter(({ entry }) => entry.takes === "conversations" || entry.problem === undefined);
  const same = usable.find(({ entry }) => entry.facts.id === before?.entry.facts.id);
  return Result.succeed(same ?? usable[0] ?? members[0]);
};

export const conditionsOf = (members: Members): ReadonlyMap<string, ModelCondition> =>
  new Map(
    members.map(({ entry, slot }) => [
      entry.facts.id,
      entry.takes === "conversations" ? { ...slot.condition, backend: entry.backend.name } : slot.condition,
    ]),
  );

/** Whether one engine serves both entries: they differ only in names, defaults of tasks and retention. */
export const runsAlike = (one: CatalogEntry, other: CatalogEntry): boolean => {
  const engineSide = (entry: CatalogEntry) => {
    if (entry.takes === "conversations") {
      const { facts: served, backend, memoryBytes } = entry;
      // Two keys look alike unless they are unwrapped.
      const apiKey = backend.apiKey && Redacted.value(backend.apiKey);
      return { takes: entry.takes, source: served.source, backend: { ...backend, apiKey }, memoryBytes };
    }
    const {
      facts,
      problem,
      download,
      draft,
      profile: { allowsDraft },
    } = entry;
    const { aliases: _aliases, source: _source, family: _family, defaults: _defaults, adapters, ...rest } = facts;
    const { directory, revision } = draft?.facts ?? {};
    const drafting = { allowsDraft, draft: draft && { directory, revision, problem: draft.problem } };
    // Adapters come with the requests, but the engine reserves room by their size.
    return { ...rest, adapterBytes: adapterBytes(adapters, 1), problem, download, ...drafting };
  };
  return isDeepStrictEqual(engineSide(one), engineSide(other));
};

export const changeOf = (before: Members, after: Members): CatalogChange => {
  const idsOf = (members: Members) => new Map(members.map((member) => [member.entry.facts.id, member]));
  const [old, now] = [idsOf(before), idsOf(after)];
  return {
    added: [...now.keys()].filter((id) => !old.has(id)),
    removed: [...old.keys()].filter((id) => !now.has(id)),
    changed: [...now].filter(([id, member]) => old.has(id) && old.get(id) !== member).map(([id]) => id),
  };
};
