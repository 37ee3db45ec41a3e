/** The models of the catalog, as many of them in memory as their budget lets. */
import { isDeepStrictEqual } from "node:util";
import { Clock, Effect, Fiber, FiberSet, Layer, Queue, Schema, Scope, Semaphore, SubscriptionRef } from "effect";

import { EngineConfig, type EngineSettings } from "../../config/EngineConfig.ts";
import { ModelsConfig, type ModelsSettings } from "../../config/ModelsConfig.ts";
import { ResidencyConfig } from "../../config/ResidencyConfig.ts";
import {
  ConfigurationInvalid,
  type LoadFailure,
  ModelBroken,
  ModelChanged,
  ModelTooLarge,
} from "../../domain/errors.ts";
import type { ModelCondition, ModelFacts } from "../../domain/model.ts";
import { type EngineDevice, Engines, type EngineStatus, type LoadedMlx } from "../../engine/Engine.ts";
import { Sandbox } from "../../sandbox/Sandbox.ts";
import { type CatalogEntry, readCatalog } from "../catalog/catalog.ts";
import { codeOf } from "../../checkpoint/checkpoint-files.ts";
import type { Checkpoint } from "../../checkpoint/read-checkpoint.ts";
import type { ModelPolicy } from "../catalog/declared-model.ts";
import { footprintOf } from "../memory/footprint.ts";
import type { Keeping, UnloadOptions } from "../memory/keeping.ts";
import { keepTools, refusalOf } from "../prompting/keep-tools.ts";
import { changeOf, findDefault, findMember, type Member, runsAlike, conditionsOf } from "./members.ts";
import { ModelSlot } from "./ModelSlot.ts";
import { type CatalogChange, type LoadOptions, Models } from "../Models.ts";
import { Reservations } from "../memory/Reservations.ts";
import type { NameFailure } from "../names/resolve-name.ts";
import { type ReadCheckpoint, readFolder, readSandboxed } from "../files/read-sandboxed.ts";
import { assertUnchanged } from "../files/unchanged.ts";

/** The service cannot start: its model folder is not there. */
class CatalogUnreadable extends Schema.TaggedError<CatalogUnreadable>()("CatalogUnreadable", {
  directory: Schema.String,
  code: Schema.String,
}) {
  override get message(): string {
    return `the model folder ${this.directory} cannot be read (${this.code})`;
  }
}

type CatalogFailure = CatalogUnreadable | ConfigurationInvalid | NameFailure;

interface Pool {
  readonly settings: ModelsSettings;
  readonly members: ReadonlyArray<Member>;
  /** What an empty name means. */
  readonly fallback: Member | undefined;
  /** No longer of the catalog; they may still finish what runs. */
  readonly retired: ReadonlyArray<Member>;
}

type EngineServices = EngineConfig | Engines | Sandbox;

/** The engines live in the layer's scope. Fails where the default model that is configured is not in the catalog. */
export const layer: Layer.Layer<Models, CatalogFailure, ModelsConfig | ResidencyConfig | EngineServices> = Layer.effect(
  Models,
  Effect.gen(function* () {
    const config = yield* ModelsConfig;
    const { maxLoaded, budgetBytes, idleTtlMs, loadWaitMs } = yield* ResidencyConfig;
    const engineConfig = yield* EngineConfig;
    const engines = yield* Engines;
    const sandbox = yield* Sandbox;
    const clock = yield* Clock.Clock;
    // Made before the fibers, so that it closes after them: an engine that starts ends with its fiber.
    const scope = yield* Scope.fork(yield* Effect.scope);
    const run = yield* FiberSet.runtime(yield* FiberSet.make<void>())();
    const reservations = new Reservations({ maxLoaded, budgetBytes, waitMs: loadWaitMs }, clock);
    const counts = {
      loads: 0,
      loadFailures: 0,
      left: { eviction: 0, idle: 0, unload: 0, removal: 0, failure: 0 },
    };
    const snapshots = yield* Queue.unbounded<ReadonlyMap<string, ModelCondition>>();
    let device: EngineDevice | undefined;
    let mlx: LoadedMlx | undefined;
    let pool: Pool = { settings: config, members: [], fallback: undefined, retired: [] };
    /** As far as is known by now. */
    const neededBytesOf = new WeakMap<ModelSlot, () => number>();
    /** A call may hold facts for longer than the catalog does: its model is found by them still. */
    const slotsByFacts = new WeakMap<ModelFacts, ModelSlot>();
    const publish = (): void => void Queue.offerUnsafe(snapshots, conditionsOf(pool.members));

    const makeSlot = (
      entry: CatalogEntry,
      tools: Member["tools"],
      unchanged: Effect.Effect<void, ModelChanged>,
    ): ModelSlot => {
      const { facts, policy, profile } = entry;
      const draft = draftOf(entry, engineConfig);
      const footprint = footprintOf(facts, draft?.facts, engineConfig);
      const needed = { bytes: footprint.neededBytes };
      const slot: ModelSlot = new ModelSlot({
        facts,
        refusal: refusalOf(entry),
        keeping: keepingOf(policy, idleTtlMs),
        // What can fail without an engine fails before another model has to make way.
        start: Effect.flatMap(tools, ({ vocabulary }) =>
          draft !== undefined && draft.problem !== ""
            ? Effect.fail(new ModelBroken({ model: facts.id, cause: unusableDraft(draft) }))
            : Effect.andThen(
                Effect.suspend(() => reservations.reserve(slot, needed.bytes)),
                engines
                  .start(
                    facts,
                    vocabulary,
                    { allowed: profile.allowsDraft, directory: draft?.facts.directory },
                    unchanged,
                  )
                  .pipe(Effect.tap((engine) => Effect.flatMap(engine.status, corrected))),
              ),
        ),
        onMeasured: (bytes) => {
          // What it came to need it is likely to need again.
          needed.bytes = Math.min(budgetBytes, Math.max(needed.bytes, bytes));
          reservations.measure(slot, bytes);
        },
        overdraft: () => reservations.overdraft(slot),
        fits: () => {
          const { fits, evict } = reservations.room(slot, needed.bytes);
          return fits && evict.length === 0;
        },
        scope,
        run,
        clock,
        onChange: () => {
          publish();
          reservations.advance();
        },
        onIdle: () => reservations.advance(),
        onLoaded: (exit) => (counts[exit === "loaded" ? "loads" : "loadFailures"] += 1),
        onLeft: (why) => (counts.left[why] += 1),
        onFilesChanged: () => void run(refreshNow(facts)),
      });
      /** Its caches are still empty: what its process has beyond what was foreseen for it comes on top of them. */
      const corrected = ({ residentBytes, ...told }: EngineStatus): Effect.Effect<void, LoadFailure> => {
        device = told.device ?? device;
        mlx = told.mlx ?? mlx;
        const unforeseen = residentBytes - footprint.weightBytes - footprint.processBytes;
        if (unforeseen <= 0) return Effect.void;
        needed.bytes = Math.max(needed.bytes, footprint.neededBytes + unforeseen);
        if (needed.bytes > budgetBytes) {
          const { bytes: neededBytes } = needed;
          return Effect.fail(new ModelTooLarge({ model: facts.id, neededBytes, availableBytes: budgetBytes }));
        }
        return reservations.raise(slot, needed.bytes)
          ? Effect.void
          : Effect.fail(reservations.fullAfter(slot, needed.bytes, 0));
      };
      neededBytesOf.set(slot, () => needed.bytes);
      return slot;
    };

    /** What stays as it is keeps its engine, and its prompt tools where nothing at all changed. */
    const makeMember = Effect.fnUntraced(function* (entry: CatalogEntry) {
      const before = pool.members.find((member) => member.entry.facts.id === entry.facts.id);
      if (before !== undefined && isDeepStrictEqual(before.entry, entry)) return before;
      for (const note of entry.notes) yield* Effect.annotateLogs(Effect.logWarning(note), { model: entry.facts.id });
      const { facts } = entry;
      const draft = draftOf(entry, engineConfig);
      const unchanged = assertUnchanged(sandbox, facts, draft?.problem === "" ? draft.facts : undefined);
      // Who asks for its prompts asks again, and finds what is there now.
      const tools = yield* keepTools(
        entry,
        sandbox,
        Effect.tapError(unchanged, () => refresh(facts)),
      );
      const isKept = before !== undefined && runsAlike(before.entry, entry);
      const stamp = entry.problem === "" ? undefined : yield* stampOf(facts);
      return { entry, tools, stamp, slot: isKept ? before.slot : makeSlot(entry, tools, unchanged) };
    });

    /** What each folder said when it was read last. */
    let readings: ReadonlyMap<string, Promise<Checkpoint>> = new Map();
    /** @param isKnown folders that need not be read again */
    const readAll = (settings: ModelsSettings, isKnown: (directory: string) => boolean) =>
      Effect.suspend(() => {
        const now = new Map<string, Promise<Checkpoint>>();
        const read: ReadCheckpoint = (directory) => {
          const known = isKnown(directory) ? readings.get(directory) : undefined;
          const reading = known ?? readSandboxed(sandbox)(directory);
          now.set(directory, reading);
          return reading;
        };
        return Effect.tap(readEntries(settings, read), () => Effect.sync(() => (readings = now)));
      });

    const stampOf = ({ directory }: ModelFacts) =>
      Effect.map(readFolder(sandbox, "readStamp", directory), (stamp) =>
        typeof stamp === "string" ? stamp : undefined,
      );

    /** The one way in which the set of models changes. */
    const adopt = Effect.fnUntraced(function* (
      settings: ModelsSettings,
      isKnown: (directory: string) => boolean = () => false,
    ) {
      const members = yield* Effect.forEach(yield* readAll(settings, isKnown), makeMember);
      const fallback = yield* Effect.fromResult(findDefault(members, settings.defaultModel, pool.fallback));
      const before = pool.members;
      const gone = before.filter(({ slot }) => !members.some((member) => member.slot === slot));
      const retired = [...pool.retired.filter(({ slot }) => slot.isResident), ...gone];
      pool = { settings, members, fallback, retired };
      for (const { entry, slot } of members) {
        slotsByFacts.set(entry.facts, slot);
        const known = before.find((member) => member.slot === slot);
        if (known === undefined) continue;
        slot.forgetFailure();
        slot.keep(changedKeeping(keepingOf(known.entry.policy, idleTtlMs), keepingOf(entry.policy, idleTtlMs)));
      }
      for (const { slot } of gone) slot.retire();
      return changeOf(before, members);
    });
    const oneAtATime = yield* Semaphore.make(1);
    /** Reads a model's folder anew, where the catalog still has the model as these facts tell it. */
    const refreshNow = (facts: ModelFacts): Effect.Effect<void> =>
      Effect.suspend(() => {
        const member = pool.members.find(({ entry }) => entry.facts === facts);
        if (member === undefined) return Effect.void;
        const changed = [facts.directory, member.entry.draft?.facts.directory];
        return adopt(pool.settings, (directory) => !changed.includes(directory));
      }).pipe(
        Effect.tap(() => Effect.sync(publish)),
        Effect.uninterruptible,
        oneAtATime.withPermits(1),
        Effect.matchEffect({
          onSuccess: () =>
            Effect.annotateLogs(Effect.logInfo("the files of a model have changed"), { model: facts.id }),
          onFailure: (error) =>
            Effect.logError("the catalog stays as it was").pipe(Effect.annotateLogs({ cause: error.message })),
        }),
      );
    /** Goes on when the call that has noticed leaves, or comes to its deadline. */
    const refresh = (facts: ModelFacts): Effect.Effect<void> =>
      Effect.flatMap(
        Effect.sync(() => run(refreshNow(facts))),
        Fiber.join,
      );
    yield* adopt(config);

    const states = yield* SubscriptionRef.make(conditionsOf(pool.members));
    yield* Queue.take(snapshots).pipe(
      Effect.flatMap((snapshot) => SubscriptionRef.set(states, snapshot)),
      Effect.forever,
      Effect.forkScoped,
    );

    const change = (settings: Effect.Effect<ModelsSettings, ConfigurationInvalid>) =>
      Effect.flatMap(settings, (now) =>
        Effect.mapError(adopt(now), (error) => asConfigurationInvalid(error, now)),
      ).pipe(
        Effect.tap(() => Effect.sync(publish)),
        // A catalog that was taken over in part would be neither the old nor the new one.
        Effect.uninterruptible,
        oneAtATime.withPermits(1),
        Effect.tap((changed) => Effect.annotateLogs(Effect.logInfo("catalog read anew"), joined(changed))),
        Effect.tapError((error) =>
          Effect.logError("the catalog stays as it was").pipe(Effect.annotateLogs({ cause: error.message })),
        ),
      );

    /** Those that have gone, and whose names are no other model's. */
    const leaving = () =>
      pool.retired.filter(
        ({ entry: { facts }, slot }) =>
          slot.isResident && !pool.members.some((member) => member.entry.facts.id === facts.id),
      );
    const memberIn = (members: () => ReadonlyArray<Member>, name: string) =>
      Effect.suspend(() =>
        name.trim() === "" && pool.fallback !== undefined
          ? Effect.succeed(pool.fallback)
          : Effect.fromResult(findMember(members(), name)),
      );
    const known = () => [...pool.members, ...leaving()];
    const memberOf = (name: string) => memberIn(() => pool.members, name);
    const knownOf = (name: string) => memberIn(known, name);
    const slotOf = (model: string | ModelFacts): Effect.Effect<ModelSlot, NameFailure> => {
      const slot = typeof model === "string" ? undefined : slotsByFacts.get(model);
      if (slot !== undefined) return Effect.succeed(slot);
      return Effect.map(memberOf(typeof model === "string" ? model : model.id), (member) => member.slot);
    };
    /** A model that could not be used may have been mended: its files are looked at, and read anew if they changed. */
    const usable = Effect.fnUntraced(function* (name: string) {
      const member = yield* memberOf(name);
      const { problem, problemIs, facts, download } = member.entry;
      if (problem === "" || download !== undefined) return member;
      if (problemIs !== "unread" && (yield* stampOf(facts)) === member.stamp) return member;
      yield* refresh(facts);
      return yield* memberOf(name);
    });
    /** Where its files changed since the model was read: once more with what is there now. */
    const withUsable = <A, E, R>(name: string, use: (member: Member) => Effect.Effect<A, E | ModelChanged, R>) =>
      Effect.flatMap(usable(name), (member) =>
        Effect.tapError(use(member), (error) =>
          error instanceof ModelChanged ? refresh(member.entry.facts) : Effect.void,
        ),
      ).pipe(Effect.retry({ times: 2, while: (error) => error instanceof ModelChanged }));
    const statusOf = (member: Member) =>
      Effect.map(member.slot.status, (status) => ({
        ...status,
        facts: member.entry.facts,
        profile: member.entry.profile,
        download: member.entry.download,
        isDefault: member === pool.fallback,
        reservedBytes: reservations.reservedBytes(member.slot),
      }));
    const leaseOf = (slot: ModelSlot, isTrial: boolean | undefined) =>
      isTrial === true ? slot.lease : Effect.tap(slot.lease, slot.countUse);
    const lease = Effect.fn("Models.lease")((model: string | ModelFacts, isTrial?: boolean) =>
      typeof model === "string"
        ? withUsable(model, ({ slot }) => leaseOf(slot, isTrial))
        : Effect.flatMap(slotOf(model), (slot) => leaseOf(slot, isTrial)).pipe(
            Effect.tapError((error) => (error instanceof ModelChanged ? refresh(model) : Effect.void)),
          ),
    );

    return Models.of({
      list: Effect.suspend(() => Effect.forEach(known(), statusOf)),
      get: (name) => Effect.flatMap(knownOf(name), statusOf),
      promptTools: Effect.fn("Models.promptTools")((name: string) => withUsable(name, ({ tools }) => tools)),
      lease,
      load: Effect.fn("Models.load")((name: string, { pinned, idleTtlMs: ttlMs }: LoadOptions) =>
        withUsable(
          name,
          Effect.fnUntraced(function* (member) {
            const { slot } = member;
            yield* slot.assertNotUnloading("load");
            slot.forgetFailure();
            yield* slot.loadingLease;
            slot.keep({
              ...(pinned !== undefined && { pinned }),
              ...(ttlMs !== undefined && { idleTtlMs: ttlMs }),
            });
            return yield* statusOf(member);
          }, Effect.scoped),
        ),
      ),
      fit: Effect.fn("Models.fit")(function* (name) {
        const { entry, slot } = yield* withUsable(name, (member) => Effect.as(member.tools, member));
        const footprint = footprintOf(entry.facts, draftOf(entry, engineConfig)?.facts, engineConfig);
        const neededBytes = neededBytesOf.get(slot)?.() ?? footprint.neededBytes;
        const room = reservations.room(slot, neededBytes);
        return { ...room, ...footprint, neededBytes, budgetBytes, maxLoadedModels: maxLoaded };
      }),
      unload: Effect.fn("Models.unload")((name, options) =>
        Effect.flatMap(knownOf(name), ({ slot }) => slot.unload(options)),
      ),
      unloadAll: Effect.fn("Models.unloadAll")(function* ({ includePinned, ...options }) {
        const slots = known().map(({ slot }) => slot);
        const results = yield* Effect.forEach(slots, unloadOne(includePinned, options), {
          concurrency: "unbounded",
        });
        return {
          unloaded: results.flatMap(({ model, unloaded }) => (unloaded ? [model] : [])),
          kept: results.flatMap(({ model, reason }) => (reason === "" ? [] : [{ model, reason }])),
          freedBytes: results.reduce((sum, { freedBytes }) => sum + freedBytes, 0),
        };
      }),
      pin: Effect.fn("Models.pin")(function* (name, pinned) {
        const member = yield* memberOf(name);
        yield* member.slot.assertNotUnloading("pin");
        member.slot.keep({ pinned });
        return yield* statusOf(member);
      }),
      preload: Effect.fn("Models.preload")((names: ReadonlyArray<string>) =>
        Effect.forEach(names, (name) =>
          Effect.scoped(lease(name, true)).pipe(
            Effect.match({
              onSuccess: () => ({ name, error: undefined }),
              onFailure: (error) => ({ name, error }),
            }),
          ),
        ),
      ),
      reload: Effect.withSpan(change(Effect.suspend(() => config.reread ?? Effect.succeed(config))), "Models.reload"),
      rescan: Effect.withSpan(change(Effect.sync(() => pool.settings)), "Models.rescan"),
      showDownload: Effect.fn("Models.showDownload")((name) =>
        Effect.flatMap(memberOf(name), ({ slot }) => slot.showDownload),
      ),
      pool: Effect.sync(() => ({
        ...reservations.totals,
        ...counts,
        device,
        mlx,
        left: { ...counts.left },
        maxLoaded,
        budgetBytes,
      })),
      changes: SubscriptionRef.changes(states),
    });
  }),
);

const readEntries = (settings: ModelsSettings, read: ReadCheckpoint) =>
  Effect.tryPromise({
    try: () => readCatalog(settings, read),
    catch: (error) =>
      error instanceof ConfigurationInvalid
        ? error
        : new CatalogUnreadable({ directory: settings.directory, code: codeOf(error) }),
  });

/** The model that drafts for it; none where nothing is drafted at all. */
const draftOf = ({ draft }: CatalogEntry, { speculation }: EngineSettings): CatalogEntry["draft"] =>
  speculation === "off" ? undefined : draft;

const unusableDraft = ({ facts, problem }: NonNullable<CatalogEntry["draft"]>): string =>
  `its draft model "${facts.id}" cannot be used: ${problem}`;

const keepingOf = ({ pinned, ttlMs, priority }: ModelPolicy, idleTtlMs: number): Keeping => ({
  pinned,
  idleTtlMs: ttlMs ?? idleTtlMs,
  priority,
});

/** What a call said stays, unless the file says something else than it did. */
const changedKeeping = (before: Keeping, now: Keeping): Partial<Keeping> => ({
  ...(before.pinned !== now.pinned && { pinned: now.pinned }),
  ...(before.idleTtlMs !== now.idleTtlMs && { idleTtlMs: now.idleTtlMs }),
  priority: now.priority,
});

const unloadOne = (includePinned: boolean, options: UnloadOptions) => (slot: ModelSlot) => {
  const stays = { model: slot.id, unloaded: false, freedBytes: 0 };
  if (slot.isPinned && !includePinned) {
    return Effect.succeed({ ...stays, reason: slot.isResident ? "it is pinned" : "" });
  }
  return Effect.match(slot.unload(options), {
    onSuccess: (result) => ({ model: slot.id, ...result, reason: "" }),
    onFailure: (error) => ({ ...stays, reason: error.message }),
  });
};

const joined = (change: CatalogChange): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(change).map(([key, ids]) => [key, (ids as ReadonlyArray<string>).join(" ")]));

/** Of a reload all failures are the configuration's. */
const asConfigurationInvalid = (error: CatalogFailure, { file }: ModelsSettings): ConfigurationInvalid => {
  if (error._tag === "ConfigurationInvalid") return error;
  const key = error._tag === "CatalogUnreadable" ? "models" : "default_model";
  return (
    file?.invalid(["service", key], error.message) ??
    new ConfigurationInvalid({
      file: "",
      line: 0,
      key: `MLXD_${key.toUpperCase()}`,
      problem: error.message,
    })
  );
};
