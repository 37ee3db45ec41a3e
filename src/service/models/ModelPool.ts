/** The models of the catalog, each with one engine that its first lease starts. */
import { isDeepStrictEqual } from "node:util";
import { Cache, Duration, Effect, Exit, Layer, Result, Schema, Semaphore, SubscriptionRef } from "effect";

import { ModelsConfig, type ModelsSettings } from "../config/ModelsConfig.ts";
import { ConfigurationInvalid, ModelBroken } from "../domain/errors.ts";
import type { ModelFacts, ModelState } from "../domain/model.ts";
import { Engines } from "../engine/Engine.ts";
import { type CatalogEntry, readCatalog } from "./catalog.ts";
import { CheckpointInvalid, codeOf } from "./checkpoint-files.ts";
import { makeSlot, type ModelSlot } from "./ModelSlot.ts";
import { type CatalogChange, Models, type PromptTools } from "./Models.ts";
import { readPromptTools } from "./prompt-tools.ts";
import { type NameFailure, resolveName } from "./resolve-name.ts";

/** The service cannot start: its model folder is not there. */
export class CatalogUnreadable extends Schema.TaggedError<CatalogUnreadable>()("CatalogUnreadable", {
  directory: Schema.String,
  code: Schema.String,
}) {
  override get message(): string {
    return `the model folder ${this.directory} cannot be read (${this.code})`;
  }
}

/** The engines live in the layer's scope. Fails where the default model that is configured is not in the folder. */
export const layer: Layer.Layer<
  Models,
  CatalogUnreadable | ConfigurationInvalid | NameFailure,
  ModelsConfig | Engines
> = Layer.effect(
  Models,
  Effect.gen(function* () {
    const config = yield* ModelsConfig;
    const engines = yield* Engines;
    const scope = yield* Effect.scope;
    const states = yield* SubscriptionRef.make<ReadonlyMap<string, ModelState>>(new Map());
    let pool: Pool = { settings: config, members: [], fallback: undefined };
    /** A call may hold facts for longer than the catalog does: its model is found by them still. */
    const slotsByFacts = new WeakMap<ModelFacts, ModelSlot>();
    const publish = Effect.suspend(() => SubscriptionRef.set(states, statesOf(pool.members)));

    const makeMember = Effect.fnUntraced(function* (entry: CatalogEntry, slot?: ModelSlot) {
      const { facts, problem } = entry;
      const tools = yield* keptTools(entry);
      const start = Effect.flatMap(tools, ({ tokenizer }) => engines.start(facts, tokenizer));
      return { entry, tools, slot: slot ?? makeSlot({ facts, problem, start, scope, onChange: publish }) };
    });

    /** What stays as it is keeps its engine, and its prompt tools where nothing at all changed. */
    const makeMembers = (catalog: ReadonlyArray<CatalogEntry>) =>
      Effect.forEach(catalog, (entry) => {
        const before = pool.members.find((member) => member.entry.facts.id === entry.facts.id);
        if (before === undefined) return makeMember(entry);
        if (isDeepStrictEqual(before.entry, entry)) return Effect.succeed(before);
        return makeMember(entry, runsAlike(before.entry, entry) ? before.slot : undefined);
      });

    const adopt = Effect.fnUntraced(function* (settings: ModelsSettings) {
      const members = yield* makeMembers(yield* readEntries(settings));
      const fallback = yield* findDefault(members, settings.defaultModel);
      for (const { entry, slot } of members) slotsByFacts.set(entry.facts, slot);
      const before = pool.members;
      pool = { settings, members, fallback };
      yield* publish;
      const gone = before.filter(({ slot }) => !members.some((member) => member.slot === slot));
      yield* Effect.forEach(gone, ({ slot }) => slot.retire, { discard: true });
      return changeOf(before, members);
    });
    yield* adopt(config);

    const memberOf = (name: string) =>
      Effect.suspend(() =>
        name === "" && pool.fallback !== undefined
          ? Effect.succeed(pool.fallback)
          : Effect.fromResult(findMember(pool.members, name)),
      );
    const statusOf = (member: Member) =>
      Effect.map(member.slot.status, (status) => ({
        ...status,
        facts: member.entry.facts,
        pinned: member.entry.policy.pinned,
        isDefault: member === pool.fallback,
      }));
    const slotOf = (model: string | ModelFacts): Effect.Effect<ModelSlot, NameFailure> => {
      const known = typeof model === "string" ? undefined : slotsByFacts.get(model);
      if (known !== undefined) return Effect.succeed(known);
      return Effect.map(memberOf(typeof model === "string" ? model : model.id), ({ slot }) => slot);
    };
    const lease = Effect.fn("Models.lease")((model: string | ModelFacts) =>
      Effect.flatMap(slotOf(model), (slot) => slot.lease),
    );
    const oneAtATime = yield* Semaphore.make(1);

    return Models.of({
      list: Effect.suspend(() => Effect.forEach(pool.members, statusOf)),
      get: (name) => Effect.flatMap(memberOf(name), statusOf),
      promptTools: Effect.fn("Models.promptTools")((name: string) =>
        Effect.flatMap(memberOf(name), ({ tools }) => tools),
      ),
      lease,
      preload: Effect.fn("Models.preload")((names: ReadonlyArray<string>) =>
        Effect.forEach(names, (name) =>
          Effect.scoped(lease(name)).pipe(
            Effect.match({ onSuccess: () => ({ name, error: undefined }), onFailure: (error) => ({ name, error }) }),
          ),
        ),
      ),
      reload: Effect.gen(function* () {
        const settings = yield* config.reread ?? Effect.succeed(config);
        return yield* Effect.mapError(adopt(settings), (error) => asConfigurationInvalid(error, settings));
      }).pipe(
        // A catalog that was taken over in part would be neither the old nor the new one.
        Effect.uninterruptible,
        oneAtATime.withPermits(1),
        Effect.tap((change) => Effect.annotateLogs(Effect.logInfo("catalog read anew"), joined(change))),
        Effect.tapError((error) =>
          Effect.logError("the catalog stays as it was").pipe(Effect.annotateLogs({ cause: error.message })),
        ),
        Effect.withSpan("Models.reload"),
      ),
      changes: SubscriptionRef.changes(states),
    });
  }),
);

/** A model of the catalog. */
interface Member {
  readonly entry: CatalogEntry;
  /** Read once and kept. */
  readonly tools: Effect.Effect<PromptTools, ModelBroken>;
  readonly slot: ModelSlot;
}

interface Pool {
  readonly settings: ModelsSettings;
  readonly members: ReadonlyArray<Member>;
  /** What an empty name means. */
  readonly fallback: Member | undefined;
}

const readEntries = (settings: ModelsSettings) =>
  Effect.tryPromise({
    try: () => readCatalog(settings),
    catch: (error) =>
      error instanceof ConfigurationInvalid
        ? error
        : new CatalogUnreadable({ directory: settings.directory, code: codeOf(error) }),
  });

const findMember = (members: ReadonlyArray<Member>, name: string): Result.Result<Member, NameFailure> => {
  const named = members.map((member) => ({ ...member.entry.facts, member }));
  return Result.map(resolveName(named, name), ({ member }) => member);
};

/** Undefined only where there is no model at all. */
const findDefault = (members: ReadonlyArray<Member>, name: string) =>
  name === ""
    ? Effect.succeed(members.find(({ slot }) => slot.state() !== "failed") ?? members[0])
    : Effect.fromResult(findMember(members, name));

/** A failure is kept for a moment only: the files may have been mended. */
const keptTools = (entry: CatalogEntry): Effect.Effect<Effect.Effect<PromptTools, ModelBroken>> =>
  Effect.map(
    Cache.makeWith<"tools", PromptTools, ModelBroken>(() => readTools(entry), {
      capacity: 1,
      timeToLive: (exit) => (Exit.isSuccess(exit) ? Duration.infinity : Duration.seconds(5)),
    }),
    (cache) => Cache.get(cache, "tools"),
  );

const readTools = ({ facts, profile, problem }: CatalogEntry) =>
  problem === ""
    ? Effect.tryPromise({
        try: () => readPromptTools(facts, profile),
        catch: (error) => new ModelBroken({ model: facts.id, cause: problemOf(error) }),
      })
    : Effect.fail(new ModelBroken({ model: facts.id, cause: problem }));

/** Whether one engine serves both: nothing differs but names, what tasks default to and how it is kept. */
const runsAlike = (one: CatalogEntry, other: CatalogEntry): boolean => {
  const engineSide = ({ facts, problem }: CatalogEntry) => {
    const { aliases: _aliases, source: _source, family: _family, defaults: _defaults, ...rest } = facts;
    return { ...rest, problem };
  };
  return isDeepStrictEqual(engineSide(one), engineSide(other));
};

const changeOf = (before: ReadonlyArray<Member>, after: ReadonlyArray<Member>): CatalogChange => {
  const idsOf = (members: ReadonlyArray<Member>) => new Map(members.map((member) => [member.entry.facts.id, member]));
  const [old, now] = [idsOf(before), idsOf(after)];
  return {
    added: [...now.keys()].filter((id) => !old.has(id)),
    removed: [...old.keys()].filter((id) => !now.has(id)),
    changed: [...now].filter(([id, member]) => old.has(id) && old.get(id) !== member).map(([id]) => id),
  };
};

const joined = (change: CatalogChange): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(change).map(([key, ids]) => [key, (ids as ReadonlyArray<string>).join(" ")]));

/** Of a reload all failures are the configuration's. */
const asConfigurationInvalid = (
  error: ConfigurationInvalid | CatalogUnreadable | NameFailure,
  { file }: ModelsSettings,
): ConfigurationInvalid => {
  if (error._tag === "ConfigurationInvalid") return error;
  const key = error._tag === "CatalogUnreadable" ? "models" : "default_model";
  return (
    file?.invalid(["service", key], error.message) ??
    new ConfigurationInvalid({ file: "", line: 0, key: `MLXD_${key.toUpperCase()}`, problem: error.message })
  );
};

const problemOf = (error: unknown): string =>
  error instanceof CheckpointInvalid ? error.message : `its folder cannot be read (${codeOf(error)})`;

const statesOf = (members: ReadonlyArray<Member>): ReadonlyMap<string, ModelState> =>
  new Map(members.map(({ entry, slot }) => [entry.facts.id, slot.state()]));
