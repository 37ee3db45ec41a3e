/** The models as a caller has them: those that its tenant may use, whatever they are used for. */
import { Effect, Layer } from "effect";

import { Access } from "../access/Access.ts";
import { CurrentCall } from "../domain/Call.ts";
import type { ModelNotFound } from "../domain/errors.ts";
import { modelKey } from "../domain/model-identity.ts";
import { Models } from "../models/Models.ts";

/** Stands between the pool and everything that works for callers. What the service does for itself is not limited. */
export const layer: Layer.Layer<Models, never, Models | Access> = Layer.effect(
  Models,
  Effect.gen(function* () {
    const models = yield* Models;
    const { allowanceOf } = yield* Access;
    const allowance = Effect.map(CurrentCall, ({ caller }) => allowanceOf(caller));
    const check = (id: string) => Effect.flatMap(allowance, (own) => Effect.fromResult(own.model(id)));
    /** Whether a name that the tenant may not use exists is not told. */
    const hidden = (name: string) => (error: ModelNotFound) => Effect.andThen(check(name), Effect.fail(error));
    const checked = (name: string) =>
      models.get(name).pipe(
        Effect.tap(({ facts }) => check(facts.id)),
        Effect.catchTag("ModelNotFound", hidden(name)),
      );
    /** A key counts before the names, as in `remove`, which knows an unknown engine as an unknown model. */
    const checkedKey = (key: string) =>
      Effect.flatMap(models.list, (all) => {
        const exact = all.find(({ facts }) => modelKey(facts.engine, facts.id) === key.trim());
        return exact === undefined
          ? Effect.catchTag(Effect.asVoid(checked(key)), "UnknownBackend", () => Effect.void)
          : check(exact.facts.id);
      });
    return Models.of({
      ...models,
      list: Effect.flatMap(allowance, (own) =>
        Effect.map(models.list, (all) => all.filter(({ facts }) => own.mayUse(facts.id))),
      ),
      get: checked,
      use: (name) =>
        models.use(name).pipe(
          Effect.tap(({ facts }) => check(facts.id)),
          Effect.catchTag("ModelNotFound", hidden(name)),
        ),
      load: (name, options) => Effect.andThen(checked(name), models.load(name, options)),
      fit: (name) => Effect.andThen(checked(name), models.fit(name)),
      unload: (name, options) => Effect.andThen(checked(name), models.unload(name, options)),
      unloadAll: (options) => Effect.andThen(check("*"), models.unloadAll(options)),
      usage: Effect.flatMap(allowance, (own) =>
        Effect.map(models.usage, (usage) => ({
          ...usage,
          models: usage.models.filter(({ status }) => own.mayUse(status.facts.id)),
        })),
      ),
      // An entry may be of any model's backend.
      changeEntry: (change) => Effect.andThen(check("*"), models.changeEntry(change)),
      // Limits and what is cleared as a whole concern every tenant's models.
      resize: (changes) => Effect.andThen(check("*"), models.resize(changes)),
      clear: (includePinned) => Effect.andThen(check("*"), models.clear(includePinned)),
      clearPrefixes: (name, selection) => Effect.andThen(check("*"), models.clearPrefixes(name, selection)),
      remove: (key, options) => Effect.andThen(checkedKey(key), models.remove(key, options)),
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
