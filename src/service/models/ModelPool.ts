/** The models of the configured folder, as many of them in memory as its budget lets. */
import { Cache, Clock, Duration, Effect, Exit, FiberSet, Layer, Queue, Schema, Scope, SubscriptionRef } from "effect";

import { EngineConfig } from "../config/EngineConfig.ts";
import { ModelsConfig } from "../config/ModelsConfig.ts";
import { ResidencyConfig } from "../config/ResidencyConfig.ts";
import { ModelBroken, ModelNotFound } from "../domain/errors.ts";
import type { ModelState } from "../domain/model.ts";
import { Engines } from "../engine/Engine.ts";
import { type CatalogEntry, readCatalog } from "./catalog.ts";
import { CheckpointInvalid, codeOf } from "./checkpoint-files.ts";
import { footprintOf } from "./footprint.ts";
import { ModelSlot, type UnloadOptions } from "./ModelSlot.ts";
import { type LoadOptions, Models } from "./Models.ts";
import { readPromptTools } from "./prompt-tools.ts";
import { Reservations } from "./Reservations.ts";
import { nearestNames, resolveName } from "./resolve-name.ts";

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
  CatalogUnreadable | ModelNotFound,
  ModelsConfig | ResidencyConfig | EngineConfig | Engines
> = Layer.effect(
  Models,
  Effect.gen(function* () {
    const { directory, defaultModel } = yield* ModelsConfig;
    const { maxLoaded, budgetBytes, idleTtlMs, loadWaitMs } = yield* ResidencyConfig;
    const caches = yield* EngineConfig;
    const engines = yield* Engines;
    const clock = yield* Clock.Clock;
    // Made before the fibers, so that it closes after them: an engine that starts ends with its fiber.
    const scope = yield* Scope.fork(yield* Effect.scope);
    const run = yield* FiberSet.runtime(yield* FiberSet.make<void>())();
    const catalog = yield* Effect.tryPromise({
      try: () => readCatalog(directory),
      catch: (error) => new CatalogUnreadable({ directory, code: codeOf(error) }),
    });
    const tools = yield* makePromptToolsCache(catalog);
    const reservations = new Reservations({ maxLoaded, budgetBytes, waitMs: loadWaitMs }, clock);
    const counts = { loads: 0, loadFailures: 0, left: { eviction: 0, idle: 0, unload: 0 } };
    const snapshots = yield* Queue.unbounded<ReadonlyMap<string, ModelState>>();

    const makeSlot = ({ facts, problem }: CatalogEntry): ModelSlot => {
      const slot: ModelSlot = new ModelSlot({
        facts,
        problem,
        // What can fail without an engine fails before another model has to make way.
        start: Effect.flatMap(Cache.get(tools, facts.id), ({ tokenizer }) =>
          Effect.andThen(
            reservations.reserve(slot, footprintOf(facts, caches).neededBytes),
            engines.start(facts, tokenizer),
          ),
        ),
        scope,
        run,
        clock,
        idleTtlMs,
        onChange: () => {
          Queue.offerUnsafe(snapshots, statesOf(slots));
          reservations.advance();
        },
        onIdle: () => reservations.advance(),
        onLoaded: (exit) => (counts[exit === "loaded" ? "loads" : "loadFailures"] += 1),
        onLeft: (why) => (counts.left[why] += 1),
      });
      return slot;
    };
    const slots: ReadonlyArray<ModelSlot> = catalog.map(makeSlot);
    const states = yield* SubscriptionRef.make(statesOf(slots));
    yield* Queue.take(snapshots).pipe(
      Effect.flatMap((snapshot) => SubscriptionRef.set(states, snapshot)),
      Effect.forever,
      Effect.forkScoped,
    );

    const known = slots.map(({ facts }) => facts);
    const find = (name: string) => {
      const facts = resolveName(known, name);
      const slot = slots.find((each) => each.facts === facts);
      return slot === undefined
        ? Effect.fail(new ModelNotFound({ model: name, nearest: nearestNames(known, name) }))
        : Effect.succeed(slot);
    };
    const fallback = defaultModel === "" ? firstUsable(slots) : yield* find(defaultModel);
    const slotOf = (name: string) => (name === "" && fallback !== undefined ? Effect.succeed(fallback) : find(name));
    const statusOf = (slot: ModelSlot) =>
      Effect.map(slot.status, (status) => ({
        ...status,
        isDefault: slot === fallback,
        reservedBytes: reservations.reservedBytes(slot),
      }));
    const lease = Effect.fn("Models.lease")((name: string) => Effect.flatMap(slotOf(name), (slot) => slot.lease));
    const load = Effect.fn("Models.load")(function* (name: string, { pinned, idleTtlMs: ttlMs }: LoadOptions) {
      const slot = yield* slotOf(name);
      yield* slot.assertNotUnloading("load");
      slot.forgetFailure();
      yield* slot.lease;
      if (pinned !== undefined) slot.setPinned(pinned);
      if (ttlMs !== undefined) slot.setIdleTtl(ttlMs);
      return yield* statusOf(slot);
    }, Effect.scoped);

    return Models.of({
      list: Effect.forEach(slots, statusOf),
      get: (name) => Effect.flatMap(slotOf(name), statusOf),
      promptTools: Effect.fn("Models.promptTools")(function* (name: string) {
        const slot = yield* slotOf(name);
        return yield* Cache.get(tools, slot.facts.id);
      }),
      lease,
      load,
      fit: Effect.fn("Models.fit")(function* (name) {
        const slot = yield* slotOf(name);
        yield* Cache.get(tools, slot.facts.id);
        const footprint = footprintOf(slot.facts, caches);
        const room = reservations.room(slot, footprint.neededBytes);
        return { ...room, ...footprint, budgetBytes, maxLoadedModels: maxLoaded };
      }),
      unload: Effect.fn("Models.unload")((name, options) =>
        Effect.flatMap(slotOf(name), (slot) => slot.unload(options)),
      ),
      unloadAll: Effect.fn("Models.unloadAll")(function* ({ includePinned, ...options }) {
        const results = yield* Effect.forEach(slots, unloadOne(includePinned, options), { concurrency: "unbounded" });
        return {
          unloaded: results.flatMap(({ model, unloaded }) => (unloaded ? [model] : [])),
          kept: results.flatMap(({ model, reason }) => (reason === "" ? [] : [{ model, reason }])),
          freedBytes: results.reduce((sum, { freedBytes }) => sum + freedBytes, 0),
        };
      }),
      pin: Effect.fn("Models.pin")(function* (name, pinned) {
        const slot = yield* slotOf(name);
        yield* slot.assertNotUnloading("pin");
        slot.setPinned(pinned);
        return yield* statusOf(slot);
      }),
      preload: Effect.fn("Models.preload")((names: ReadonlyArray<string>) =>
        Effect.forEach(names, (name) =>
          Effect.scoped(lease(name)).pipe(
            Effect.match({ onSuccess: () => ({ name, error: undefined }), onFailure: (error) => ({ name, error }) }),
          ),
        ),
      ),
      pool: Effect.sync(() => ({
        ...reservations.totals,
        ...counts,
        left: { ...counts.left },
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

/** By model id. A failure is kept for a moment only: the files may have been mended. */
const makePromptToolsCache = (catalog: ReadonlyArray<CatalogEntry>) => {
  const readers = new Map(catalog.map((entry) => [entry.facts.id, readTools(entry)]));
  return Cache.makeWith((id: string) => readers.get(id) ?? Effect.die(new RangeError(`no model has the id ${id}`)), {
    capacity: Number.POSITIVE_INFINITY,
    timeToLive: (exit) => (Exit.isSuccess(exit) ? Duration.infinity : Duration.seconds(5)),
  });
};

const readTools = ({ facts, problem }: CatalogEntry) =>
  problem === ""
    ? Effect.tryPromise({
        try: () => readPromptTools(facts),
        catch: (error) => new ModelBroken({ model: facts.id, cause: problemOf(error) }),
      })
    : Effect.fail(new ModelBroken({ model: facts.id, cause: problem }));

const problemOf = (error: unknown): string =>
  error instanceof CheckpointInvalid ? error.message : `its folder cannot be read (${codeOf(error)})`;

const statesOf = (slots: ReadonlyArray<ModelSlot>): ReadonlyMap<string, ModelState> =>
  new Map(slots.map(({ id, state }) => [id, state]));

const firstUsable = (slots: ReadonlyArray<ModelSlot>): ModelSlot | undefined =>
  slots.find((slot) => slot.state !== "failed") ?? slots[0];
