/** Serves the models of the catalog, and keeps as many of them in memory as the budget allows. */
import { Clock, Effect, FiberSet, Layer, Queue, Scope, SubscriptionRef } from "effect";

import { EngineConfig } from "../../config/EngineConfig.ts";
import { ModelsConfig } from "../../config/ModelsConfig.ts";
import { ResidencyConfig } from "../../config/ResidencyConfig.ts";
import { localEngine } from "../../domain/engine-names.ts";
import type { ConversationOption } from "../../domain/conversation-options.ts";
import { type FilesUnusable, ModelChanged } from "../../domain/errors.ts";
import type { ModelCondition, ModelStatus } from "../../domain/model.ts";
import { type AnyEngine, type Engine, takesConversations } from "../../engine/Engine.ts";
import { Engines } from "../../engine/Engines.ts";
import { Sandbox } from "../../sandbox/Sandbox.ts";
import { footprintOf, noFootprint } from "../memory/footprint.ts";
import { Reservations } from "../memory/Reservations.ts";
import type { UnloadOptions } from "../memory/retention.ts";
import type { RoomLimits } from "../memory/plan-room.ts";
import { type LoadOptions, type ModelFit, type ModelInUse, Models } from "../Models.ts";
import { CatalogEntries } from "./CatalogEntries.ts";
import { draftOf } from "./draft-of.ts";
import type { Member } from "./members.ts";
import { makeModelCache } from "./model-cache.ts";
import { ModelSet } from "./ModelSet.ts";
import type { ModelSlot } from "./ModelSlot.ts";
import { PoolUse } from "./PoolUse.ts";
import type { CatalogFailure } from "./read-entries.ts";
import { SlotMaker } from "./SlotMaker.ts";

type EngineServices = EngineConfig | Engines | Sandbox;

/** The engines live in the layer's scope. Fails if the configured default model is not in the catalog. */
export const layer: Layer.Layer<Models, CatalogFailure, ModelsConfig | ResidencyConfig | EngineServices> = Layer.effect(
  Models,
  Effect.gen(function* () {
    const config = yield* ModelsConfig;
    const residency = yield* ResidencyConfig;
    const { maxLoaded, budgetBytes, idleTtlMs, loadWaitMs } = residency;
    const engineConfig = yield* EngineConfig;
    const engines = yield* Engines;
    const clock = yield* Clock.Clock;
    // Forked before the fiber set, so that it closes after it: an engine that is starting ends with its fiber.
    const scope = yield* Scope.fork(yield* Effect.scope);
    const run = yield* FiberSet.runtime(yield* FiberSet.make<void>())();
    const use = new PoolUse(clock);
    const reservations = new Reservations({ maxLoaded, budgetBytes, waitMs: loadWaitMs }, clock);
    const snapshots = yield* Queue.unbounded<ReadonlyMap<string, ModelCondition>>();
    const slots = new SlotMaker({
      engines,
      engineConfig,
      reservations,
      use,
      idleTtlMs,
      scope,
      run,
      clock,
      onChange: () => models.publish(),
      onFilesChanged: (facts) => void run(models.refreshNow(facts)),
    });
    const models = new ModelSet(config, {
      sandbox: yield* Sandbox,
      engineConfig,
      idleTtlMs,
      slots,
      drivers: engines.conversations,
      run,
      onConditions: (conditions) => void Queue.offerUnsafe(snapshots, conditions),
    });
    // Which models they are is known when the catalog has been read; most are of the local engine.
    if (residency.preload.length > 0) yield* engines.prepare(localEngine);
    yield* models.read;

    const states = yield* SubscriptionRef.make(models.conditions);
    yield* Queue.take(snapshots).pipe(
      Effect.flatMap((snapshot) => SubscriptionRef.set(states, snapshot)),
      Effect.forever,
      Effect.forkScoped,
    );

    const entries = new CatalogEntries(config, models);

    const statusOf = (member: Member) =>
      Effect.map(member.slot.status, (status) => ({
        ...status,
        ...factsOf(member),
        profile: member.entry.profile,
        isDefault: member === models.fallback,
        reservedBytes: reservations.reservedBytes(member.slot),
      }));
    const leaseOf = (slot: ModelSlot, isTrial: boolean | undefined) =>
      isTrial === true
        ? slot.lease
        : Effect.suspend(() => {
            use.lookedUp(slot.id, slot.isReady);
            return Effect.tap(slot.lease, slot.countUse);
          });
    const inUse = (member: Member): Effect.Effect<ModelInUse, FilesUnusable | ModelChanged> => {
      const lease = (isTrial: boolean | undefined) =>
        Effect.withSpan(leaseOf(member.slot, isTrial), "ModelInUse.lease");
      if (member.takes === "conversations") {
        const { entry, takes, slot } = member;
        return Effect.succeed({
          takes,
          facts: entry.facts,
          profile: entry.profile,
          options: without(entry.options, slot.engine),
          tokenizer: entry.tokenizer,
          lease: (isTrial) => Effect.filterOrElse(lease(isTrial), takesConversations, otherEngine),
        });
      }
      return Effect.map(member.tools, (tools) => ({
        ...tools,
        takes: "tokens",
        lease: (isTrial) =>
          Effect.filterOrElse(lease(isTrial), takesTokens, otherEngine).pipe(
            Effect.tapError((error) => (error instanceof ModelChanged ? models.refresh(tools.facts) : Effect.void)),
          ),
      }));
    };

    const fitOf = (member: Member): Effect.Effect<ModelFit, FilesUnusable | ModelChanged> => {
      const { slot } = member;
      const neededBytes = slots.neededBytes(slot);
      if (member.takes === "conversations" && neededBytes !== undefined) {
        const room = reservations.room(slot, neededBytes);
        const footprint = { ...noFootprint, processBytes: neededBytes, neededBytes };
        return Effect.succeed({ ...room, ...footprint, ...limitsOf(reservations.limits) });
      }
      if (member.takes === "conversations") {
        const { limits, totals } = reservations;
        const availableBytes = limits.budgetBytes - totals.reservedBytes;
        const room = { fits: true, evict: [], waitFor: [], availableBytes, loadedModels: totals.loaded };
        return Effect.succeed({ ...room, ...noFootprint, ...limitsOf(limits) });
      }
      return Effect.map(member.tools, ({ facts }) => {
        const footprint = footprintOf(facts, draftOf(member.entry, engineConfig)?.facts, engineConfig);
        const bytes = neededBytes ?? footprint.neededBytes;
        const room = reservations.room(slot, bytes);
        return { ...room, ...footprint, neededBytes: bytes, ...limitsOf(reservations.limits) };
      });
    };

    return Models.of({
      list: Effect.suspend(() => Effect.forEach(models.known, statusOf)),
      get: (name) => Effect.flatMap(models.knownOf(name), statusOf),
      use: Effect.fn("Models.use")((name: string) => models.withUsable(name, inUse)),
      load: Effect.fn("Models.load")((name: string, { pinned, idleTtlMs: ttlMs }: LoadOptions) =>
        models.withUsable(
          name,
          Effect.fnUntraced(function* (member) {
            const { slot } = member;
            yield* slot.assertNotUnloading("load");
            slot.forgetFailure();
            yield* slot.loadingLease;
            slot.changeRetention({
              ...(pinned !== undefined && { pinned }),
              ...(ttlMs !== undefined && { idleTtlMs: ttlMs }),
            });
            return yield* statusOf(member);
          }, Effect.scoped),
        ),
      ),
      fit: Effect.fn("Models.fit")((name) => models.withUsable(name, fitOf)),
      unload: Effect.fn("Models.unload")((name, options) =>
        Effect.flatMap(models.knownOf(name), ({ slot }) => slot.unload(options)),
      ),
      unloadAll: Effect.fn("Models.unloadAll")(function* ({ includePinned, ...options }) {
        const results = yield* Effect.forEach(
          models.known.map(({ slot }) => slot),
          unloadOne(includePinned, options),
          { concurrency: "unbounded" },
        );
        return {
          unloaded: results.flatMap(({ model, unloaded }) => (unloaded ? [model] : [])),
          kept: results.flatMap(({ model, reason }) => (reason === "" ? [] : [{ model, reason }])),
          freedBytes: results.reduce((sum, { freedBytes }) => sum + freedBytes, 0),
        };
      }),
      pin: Effect.fn("Models.pin")(function* (name, pinned) {
        const member = yield* models.memberOf(name);
        yield* member.slot.assertNotUnloading("pin");
        member.slot.changeRetention({ pinned });
        return yield* statusOf(member);
      }),
      preload: Effect.fn("Models.preload")((names: ReadonlyArray<string>) =>
        Effect.forEach(names, (name) =>
          Effect.scoped(models.withUsable(name, ({ slot }) => leaseOf(slot, true))).pipe(
            Effect.match({
              onSuccess: () => ({ name, error: undefined }),
              onFailure: (error) => ({ name, error }),
            }),
          ),
        ),
      ),
      reload: Effect.withSpan(entries.reload, "Models.reload"),
      changeEntry: Effect.fn("Models.changeEntry")(entries.change),
      rescan: Effect.withSpan(models.reload(Effect.sync(() => models.settings)), "Models.rescan"),
      fetch: Effect.fn("Models.fetch")((name, onProgress) =>
        Effect.flatMap(
          models.memberOf(name),
          (member) =>
            (member.takes === "conversations"
              ? member.driver.fetch?.(member.entry.facts, member.entry.backend, onProgress)
              : undefined) ?? Effect.succeed(false),
        ),
      ),
      followStart: Effect.fn("Models.followStart")((name, onStage) =>
        Effect.flatMap(models.memberOf(name), ({ entry, slot }) =>
          Effect.as(slot.followStart(onStage), entry.takes === "conversations" && entry.backend.managed !== undefined),
        ),
      ),
      showDownload: Effect.fn("Models.showDownload")((name) =>
        Effect.flatMap(models.memberOf(name), ({ slot }) => slot.showDownload),
      ),
      pool: Effect.sync(() => {
        const { loads, loadFailures, left } = use.total;
        return {
          ...reservations.totals,
          loads,
          loadFailures,
          left,
          device: slots.device,
          backend: slots.backend,
          maxLoaded: reservations.limits.maxLoaded,
          budgetBytes: reservations.limits.budgetBytes,
        };
      }),
      ...makeModelCache({
        models,
        reservations,
        use,
        prefixUse: engines.prefixUse,
        configured: residency,
        statusOf,
      }),
      changes: SubscriptionRef.changes(states),
    });
  }),
);

const limitsOf = ({ maxLoaded, budgetBytes }: RoomLimits) => ({ budgetBytes, maxLoadedModels: maxLoaded });

/** Never happens: a slot starts only what its driver makes. */
const otherEngine = () => Effect.die("an engine of another kind than its model's");
const takesTokens = (engine: AnyEngine): engine is Engine => !takesConversations(engine);

const factsOf = ({ entry }: Member): Pick<ModelStatus, "facts" | "files" | "backend" | "download"> =>
  entry.takes === "tokens"
    ? { facts: entry.facts, files: entry.facts, backend: undefined, download: entry.download }
    : { facts: entry.facts, files: undefined, backend: entry.backend.name, download: undefined };

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

/** What a loaded model is known not to support is left out. */
const without = (options: ReadonlySet<ConversationOption>, engine: AnyEngine | undefined) =>
  engine !== undefined && takesConversations(engine) && engine.unsupported !== undefined
    ? options.difference(engine.unsupported())
    : options;
