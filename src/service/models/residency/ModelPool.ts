/** The models of the catalog, as many of them in memory as their budget lets. */
import { Clock, Effect, FiberSet, Layer, Queue, Scope, SubscriptionRef } from "effect";

import { EngineConfig } from "../../config/EngineConfig.ts";
import { ModelsConfig } from "../../config/ModelsConfig.ts";
import { ResidencyConfig } from "../../config/ResidencyConfig.ts";
import { ModelChanged } from "../../domain/errors.ts";
import type { ModelCondition } from "../../domain/model.ts";
import { Engines } from "../../engine/Engine.ts";
import { Sandbox } from "../../sandbox/Sandbox.ts";
import { footprintOf } from "../memory/footprint.ts";
import { Reservations } from "../memory/Reservations.ts";
import type { UnloadOptions } from "../memory/retention.ts";
import { type LoadOptions, Models, type TokenModel } from "../Models.ts";
import type { PromptTools } from "../prompting/PromptTools.ts";
import { draftOf } from "./draft-of.ts";
import type { Member } from "./members.ts";
import { ModelSet } from "./ModelSet.ts";
import type { ModelSlot } from "./ModelSlot.ts";
import type { CatalogFailure } from "./read-entries.ts";
import { SlotMaker } from "./SlotMaker.ts";

type EngineServices = EngineConfig | Engines | Sandbox;

/** The engines live in the layer's scope. Fails where the default model that is configured is not in the catalog. */
export const layer: Layer.Layer<Models, CatalogFailure, ModelsConfig | ResidencyConfig | EngineServices> = Layer.effect(
  Models,
  Effect.gen(function* () {
    const config = yield* ModelsConfig;
    const { maxLoaded, budgetBytes, idleTtlMs, loadWaitMs } = yield* ResidencyConfig;
    const engineConfig = yield* EngineConfig;
    const clock = yield* Clock.Clock;
    // Made before the fibers, so that it closes after them: an engine that starts ends with its fiber.
    const scope = yield* Scope.fork(yield* Effect.scope);
    const run = yield* FiberSet.runtime(yield* FiberSet.make<void>())();
    const reservations = new Reservations({ maxLoaded, budgetBytes, waitMs: loadWaitMs }, clock);
    const snapshots = yield* Queue.unbounded<ReadonlyMap<string, ModelCondition>>();
    const slots = new SlotMaker({
      engines: yield* Engines,
      engineConfig,
      reservations,
      budgetBytes,
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
      makeSlot: (...member) => slots.make(...member),
      run,
      onConditions: (conditions) => void Queue.offerUnsafe(snapshots, conditions),
    });
    yield* models.read;

    const states = yield* SubscriptionRef.make(models.conditions);
    yield* Queue.take(snapshots).pipe(
      Effect.flatMap((snapshot) => SubscriptionRef.set(states, snapshot)),
      Effect.forever,
      Effect.forkScoped,
    );

    const statusOf = (member: Member) =>
      Effect.map(member.slot.status, (status) => ({
        ...status,
        facts: member.entry.facts,
        profile: member.entry.profile,
        download: member.entry.download,
        isDefault: member === models.fallback,
        reservedBytes: reservations.reservedBytes(member.slot),
      }));
    const leaseOf = (slot: ModelSlot, isTrial: boolean | undefined) =>
      isTrial === true ? slot.lease : Effect.tap(slot.lease, slot.countUse);
    const inUse = ({ slot }: Member, tools: PromptTools): TokenModel => ({
      ...tools,
      takes: "tokens",
      lease: (isTrial) =>
        Effect.withSpan(leaseOf(slot, isTrial), "ModelInUse.lease").pipe(
          Effect.tapError((error) => (error instanceof ModelChanged ? models.refresh(tools.facts) : Effect.void)),
        ),
    });

    return Models.of({
      list: Effect.suspend(() => Effect.forEach(models.known, statusOf)),
      get: (name) => Effect.flatMap(models.knownOf(name), statusOf),
      use: Effect.fn("Models.use")((name: string) =>
        models.withUsable(name, (member) => Effect.map(member.tools, (tools) => inUse(member, tools))),
      ),
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
      fit: Effect.fn("Models.fit")(function* (name) {
        const { entry, slot } = yield* models.withUsable(name, (member) => Effect.as(member.tools, member));
        const footprint = footprintOf(entry.facts, draftOf(entry, engineConfig)?.facts, engineConfig);
        const neededBytes = slots.neededBytes(slot) ?? footprint.neededBytes;
        const room = reservations.room(slot, neededBytes);
        return { ...room, ...footprint, neededBytes, budgetBytes, maxLoadedModels: maxLoaded };
      }),
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
      reload: Effect.withSpan(
        models.reload(Effect.suspend(() => config.reread ?? Effect.succeed(config))),
        "Models.reload",
      ),
      rescan: Effect.withSpan(models.reload(Effect.sync(() => models.settings)), "Models.rescan"),
      showDownload: Effect.fn("Models.showDownload")((name) =>
        Effect.flatMap(models.memberOf(name), ({ slot }) => slot.showDownload),
      ),
      pool: Effect.sync(() => ({
        ...reservations.totals,
        ...slots.counts,
        device: slots.device,
        mlx: slots.mlx,
        left: { ...slots.counts.left },
        maxLoaded,
        budgetBytes,
      })),
      changes: SubscriptionRef.changes(states),
    });
  }),
);

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
