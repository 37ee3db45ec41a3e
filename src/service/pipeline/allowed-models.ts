/** Limits callers to the models that their tenants may use, for every kind of use. */
import { Effect, Layer } from "effect";

import { Access } from "../access/Access.ts";
import type { Allowance } from "../access/Allowance.ts";
import { CurrentCall } from "../domain/Call.ts";
import { ModelNotFound } from "../domain/errors.ts";
import { modelKey } from "../domain/model-identity.ts";
import { Models } from "../models/Models.ts";

/** A layer between the pool and everything that works for callers. The service's own work is not limited. */
export const layer: Layer.Layer<Models, never, Models | Access> = Layer.effect(
  Models,
  Effect.gen(function* () {
    const models = yield* Models;
    const { allowanceOf } = yield* Access;
    const allowance = Effect.map(CurrentCall, ({ caller }) => allowanceOf(caller));
    /** @param asked the caller's name for the model; errors do not reveal its other names */
    const check = (id: string, asked = id) =>
      Effect.flatMap(allowance, (own) => Effect.fromResult(own.model(id, asked.trim())));
    const onlyAllowed = (own: Allowance, ids: ReadonlyArray<string>) => ids.filter((id) => own.mayUse(id));
    /** Errors do not reveal whether a model exists that the tenant may not use, and do not suggest its name. */
    const hidden =
      (name: string) =>
      ({ model, nearest }: ModelNotFound) =>
        Effect.flatMap(Effect.andThen(check(name.trim()), allowance), (own) =>
          Effect.fail(new ModelNotFound({ model, nearest: onlyAllowed(own, nearest) })),
        );
    const checked = (name: string) =>
      models.get(name).pipe(
        Effect.tap(({ facts }) => check(facts.id, name)),
        Effect.catchTag("ModelNotFound", hidden(name)),
      );
    /** The key is resolved before names, as in `remove`, where an unknown engine is an unknown model. */
    const checkedKey = (key: string) =>
      Effect.flatMap(models.list, (all) => {
        const exact = all.find(({ facts }) => modelKey(facts.engine, facts.id) === key.trim());
        return exact === undefined
          ? Effect.catchTag(Effect.asVoid(checked(key)), "UnknownBackend", () => Effect.void)
          : check(exact.facts.id, key);
      });
    return Models.of({
      ...models,
      list: Effect.flatMap(allowance, (own) =>
        Effect.map(models.list, (all) => all.filter(({ facts }) => own.mayUse(facts.id))),
      ),
      get: checked,
      use: (name) =>
        models.use(name).pipe(
          // Errors of a model are not shown to a tenant that may not use it.
          Effect.tapError((error) => (error._tag === "ModelNotFound" ? Effect.void : checked(name))),
          Effect.tap(({ facts }) => check(facts.id, name)),
          Effect.catchTag("ModelNotFound", hidden(name)),
        ),
      load: (name, options) => Effect.andThen(checked(name), models.load(name, options)),
      fit: (name) =>
        Effect.map(Effect.all([allowance, Effect.andThen(checked(name), models.fit(name))]), ([own, fit]) => ({
          ...fit,
          evict: onlyAllowed(own, fit.evict),
          waitFor: onlyAllowed(own, fit.waitFor),
        })),
      reload: Effect.map(Effect.all([allowance, models.reload]), ([own, { added, removed, changed }]) => ({
        added: onlyAllowed(own, added),
        removed: onlyAllowed(own, removed),
        changed: onlyAllowed(own, changed),
      })),
      unload: (name, options) => Effect.andThen(checked(name), models.unload(name, options)),
      unloadAll: (options) => Effect.andThen(check("*"), models.unloadAll(options)),
      usage: Effect.flatMap(allowance, (own) =>
        Effect.map(models.usage, (usage) => ({
          ...usage,
          models: usage.models.filter(({ status }) => own.mayUse(status.facts.id)),
        })),
      ),
      // An entry may concern the backend of any model.
      changeEntry: (change) => Effect.andThen(check("*"), models.changeEntry(change)),
      // Limits, and clearing everything, affect the models of all tenants.
      resize: (changes) => Effect.andThen(check("*"), models.resize(changes)),
      clear: (includePinned) => Effect.andThen(check("*"), models.clear(includePinned)),
      clearPrefixes: (name, selection) => Effect.andThen(check("*"), models.clearPrefixes(name, selection)),
      remove: (key, options) =>
        Effect.andThen(checkedKey(key), models.remove(key, options)).pipe(
          Effect.catchTag("ModelNotFound", hidden(key)),
        ),
      pin: (name, pinned) => Effect.andThen(checked(name), models.pin(name, pinned)),
      followStart: (name, onStage) => Effect.andThen(checked(name), models.followStart(name, onStage)),
      fetch: (name, onProgress) => Effect.andThen(checked(name), models.fetch(name, onProgress)),
      showDownload: (name) => Effect.andThen(checked(name), models.showDownload(name)),
      preload: (names) =>
        Effect.map(
          Effect.forEach(names, (name) =>
            Effect.matchEffect(checked(name), {
              onSuccess: () => models.preload([name]),
              onFailure: (error) => Effect.succeed([{ name, error }]),
            }),
          ),
          (reports) => reports.flat(),
        ),
    });
  }),
);
