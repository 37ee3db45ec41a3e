/** The models of the configured folder, each with one engine that its first lease starts. */
import { Cache, Duration, Effect, Exit, Layer, Schema, SubscriptionRef } from "effect";

import { ModelsConfig } from "../config/ModelsConfig.ts";
import { ModelBroken, ModelNotFound } from "../domain/errors.ts";
import type { ModelState } from "../domain/model.ts";
import { Engines } from "../engine/Engine.ts";
import { type CatalogEntry, readCatalog } from "./catalog.ts";
import { CheckpointInvalid, codeOf } from "./checkpoint-files.ts";
import { makeSlot, type ModelSlot } from "./ModelSlot.ts";
import { Models } from "./Models.ts";
import { readPromptTools } from "./prompt-tools.ts";
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
export const layer: Layer.Layer<Models, CatalogUnreadable | ModelNotFound, ModelsConfig | Engines> = Layer.effect(
  Models,
  Effect.gen(function* () {
    const { directory, defaultModel } = yield* ModelsConfig;
    const engines = yield* Engines;
    const scope = yield* Effect.scope;
    const readEntries = Effect.tryPromise({
      try: () => readCatalog(directory),
      catch: (error) => new CatalogUnreadable({ directory, code: codeOf(error) }),
    });
    const catalog = new Map((yield* readEntries).map((entry) => [entry.facts.id, entry]));
    const states = yield* SubscriptionRef.make<ReadonlyMap<string, ModelState>>(new Map());
    const tools = yield* makePromptToolsCache(catalog);

    const slotOfEntry = ({ facts, problem }: CatalogEntry): ModelSlot =>
      makeSlot({
        facts,
        problem,
        start: Effect.flatMap(Cache.get(tools, facts.id), ({ tokenizer }) => engines.start(facts, tokenizer)),
        scope,
        onChange: Effect.suspend(() => SubscriptionRef.set(states, statesOf(slots))),
      });
    let slots: ReadonlyArray<ModelSlot> = [...catalog.values()].map(slotOfEntry);
    yield* SubscriptionRef.set(states, statesOf(slots));

    const find = (name: string) => {
      const known = slots.map(({ facts }) => facts);
      const facts = resolveName(known, name);
      const slot = slots.find((each) => each.facts === facts);
      return slot === undefined
        ? Effect.fail(new ModelNotFound({ model: name, nearest: nearestNames(known, name) }))
        : Effect.succeed(slot);
    };
    let fallback = defaultModel === "" ? firstUsable(slots) : yield* find(defaultModel);
    const rescan = Effect.gen(function* () {
      const entries = yield* readEntries;
      const fresh = entries.filter(({ facts: { id } }) => catalog.get(id)?.problem !== "");
      if (fresh.length === 0) return;
      for (const entry of fresh) {
        catalog.set(entry.facts.id, entry);
        yield* Cache.invalidate(tools, entry.facts.id);
      }
      const taken = new Map(slots.map((slot) => [slot.facts.id, slot]));
      for (const entry of fresh) taken.set(entry.facts.id, slotOfEntry(entry));
      slots = [...taken.values()].toSorted((a, b) => (a.facts.id < b.facts.id ? -1 : 1));
      fallback = (fallback && taken.get(fallback.facts.id)) ?? firstUsable(slots);
      yield* SubscriptionRef.set(states, statesOf(slots));
    });
    const slotOf = (name: string) => (name === "" && fallback !== undefined ? Effect.succeed(fallback) : find(name));
    const statusOf = (slot: ModelSlot) =>
      Effect.map(slot.status, (status) => ({ ...status, isDefault: slot === fallback }));
    const lease = Effect.fn("Models.lease")((name: string) => Effect.flatMap(slotOf(name), (slot) => slot.lease));

    return Models.of({
      list: Effect.suspend(() => Effect.forEach(slots, statusOf)),
      get: (name) => Effect.flatMap(slotOf(name), statusOf),
      promptTools: Effect.fn("Models.promptTools")(function* (name: string) {
        const slot = yield* slotOf(name);
        return yield* Cache.get(tools, slot.facts.id);
      }),
      lease,
      preload: Effect.fn("Models.preload")((names: ReadonlyArray<string>) =>
        Effect.forEach(names, (name) =>
          Effect.scoped(lease(name)).pipe(
            Effect.match({ onSuccess: () => ({ name, error: undefined }), onFailure: (error) => ({ name, error }) }),
          ),
        ),
      ),
      // A folder that cannot be read now has the models that it had.
      rescan: Effect.catchTag(rescan, "CatalogUnreadable", (error) => Effect.logWarning(error.message)),
      changes: SubscriptionRef.changes(states),
    });
  }),
);

/** By model id. A failure is kept for a moment only: the files may have been mended. */
const makePromptToolsCache = (catalog: ReadonlyMap<string, CatalogEntry>) =>
  Cache.makeWith(
    (id: string) => {
      const entry = catalog.get(id);
      return entry === undefined ? Effect.die(new RangeError(`no model has the id ${id}`)) : readTools(entry);
    },
    {
      capacity: Number.POSITIVE_INFINITY,
      timeToLive: (exit) => (Exit.isSuccess(exit) ? Duration.infinity : Duration.seconds(5)),
    },
  );

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
  new Map(slots.map(({ facts, state }) => [facts.id, state()]));

const firstUsable = (slots: ReadonlyArray<ModelSlot>): ModelSlot | undefined =>
  slots.find((slot) => slot.state() !== "failed") ?? slots[0];
