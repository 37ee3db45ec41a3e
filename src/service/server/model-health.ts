/** Health by model, from the states of the models. */
import { Effect, Stream } from "effect";

import type { ModelState } from "../domain/model.ts";
import { Models } from "../models/Models.ts";
import { Health, type ServingStatus } from "./Health.ts";

type States = ReadonlyMap<string, ModelState>;
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
    const tell = Effect.fnUntraced(function* (states: States) {
      const now = statusesOf(states, before);
      for (const [id, status] of now) yield* health.set(`models/${id}`, status);
      for (const id of before.keys()) if (!now.has(id)) yield* health.remove(`models/${id}`);
      const overall = [...now.values()].includes("serving") ? "serving" : "not-serving";
      for (const name of dependents) yield* health.set(name, overall);
      before = now;
    });
    const listed = yield* models.list;
    yield* tell(new Map(listed.map(({ facts, state }) => [facts.id, state])));
    yield* Effect.forkScoped(Stream.runForEach(models.changes, tell));
  });

/**
 * A model serves when a request would be answered. One that comes or goes does if it served before that: requests wait,
 * and it is loaded anew for them. At the start of the service, and after a failure, one that is loading does not.
 */
export const statusesOf = (states: States, before: Statuses): Statuses =>
  new Map([...states].map(([id, state]) => [id, statusOf(state, before.get(id))]));

const statusOf = (state: ModelState, before: ServingStatus | undefined): ServingStatus => {
  if (state === "loading" || state === "draining" || state === "unloading") return before ?? "not-serving";
  return state === "available" || state === "active" ? "serving" : "not-serving";
};
