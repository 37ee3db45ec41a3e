/** Health by model, from the states of the models. */
import { Effect, Stream } from "effect";

import type { ModelCondition } from "../domain/model.ts";
import { Models } from "../models/Models.ts";
import { Health, type ServingStatus } from "./Health.ts";

type Conditions = ReadonlyMap<string, ModelCondition>;
type Statuses = ReadonlyMap<string, ServingStatus>;

/**
 * Keeps the names `models/{id}` up to date until the scope closes, and the `dependents`, which serve while at least one
 * model does.
 */
export const watchModels = (dependents: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const health = yield* Health;
    const models = yield* Models;
    let before: Statuses = new Map();
    const tell = Effect.fnUntraced(function* (conditions: Conditions) {
      const now = statusesOf(conditions, before);
      for (const [id, status] of now) yield* health.set(`models/${id}`, status);
      for (const id of before.keys()) if (!now.has(id)) yield* health.remove(`models/${id}`);
      const overall = [...now.values()].includes("serving") ? "serving" : "not-serving";
      for (const name of dependents) yield* health.set(name, overall);
      before = now;
    });
    const listed = yield* models.list;
    yield* tell(new Map(listed.map(({ facts, state }) => [facts.id, { state, delivers: true }])));
    yield* Effect.forkScoped(Stream.runForEach(models.changes, tell));
  });

/**
 * A model serves when a request would be answered: where it is loaded, its engine delivers tokens. One that comes or goes
 * serves if it did before that: requests wait, and it is loaded anew for them. At the start of the service, and after a
 * failure, one that is loading does not.
 */
export const statusesOf = (conditions: Conditions, before: Statuses): Statuses =>
  new Map([...conditions].map(([id, condition]) => [id, statusOf(condition, before.get(id))]));

const statusOf = ({ state, delivers }: ModelCondition, before: ServingStatus | undefined): ServingStatus => {
  if (!delivers) return "not-serving";
  if (state === "loading" || state === "draining" || state === "unloading") return before ?? "not-serving";
  return state === "available" || state === "active" ? "serving" : "not-serving";
};
