/** Derives the health of each model from the models' states. */
import { Effect, Stream } from "effect";

import type { ModelCondition, ModelState } from "../domain/model.ts";
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
      for (const [id, status] of now) {
        const condition = conditions.get(id);
        yield* health.set(`models/${id}`, status, condition === undefined ? "" : reasonOf(condition, status));
      }
      for (const id of before.keys()) if (!now.has(id)) yield* health.remove(`models/${id}`);
      const overall = [...now.values()].includes("serving") ? "serving" : "not-serving";
      const why = overall === "serving" ? "" : now.size === 0 ? "there is no model" : "no model can answer";
      for (const name of dependents) yield* health.set(name, overall, why);
      before = now;
    });
    const listed = yield* models.list;
    yield* tell(new Map(listed.map(({ facts, state }) => [facts.id, { state, delivers: true }])));
    yield* Effect.forkScoped(Stream.runForEach(models.changes, tell));
  });

/**
 * A model serves if a request would be answered; a loaded one therefore only if its engine produces tokens. A model
 * that is loading or unloading keeps its status: requests wait until it is loaded again. A model that is loading at the
 * service's start, or after a failure, does not serve yet.
 */
export const statusesOf = (conditions: Conditions, before: Statuses): Statuses =>
  new Map([...conditions].map(([id, condition]) => [id, statusOf(condition, before.get(id))]));

const statusOf = ({ state, delivers }: ModelCondition, before: ServingStatus | undefined): ServingStatus => {
  if (!delivers) return "not-serving";
  if (state === "loading" || state === "draining" || state === "unloading") return before ?? "not-serving";
  return state === "available" || state === "active" ? "serving" : "not-serving";
};

/** Why a model does not serve, without details: everybody may read health. GetModel has the details. */
const reasonOf = ({ state, delivers }: ModelCondition, status: ServingStatus): string => {
  if (status === "serving") return "";
  return delivers ? reasons[state] : "its engine is starting anew, or has work and delivers nothing";
};

const reasons: Readonly<Record<ModelState, string>> = {
  available: "",
  active: "",
  failed: "it failed; GetModel tells why",
  "not-downloaded": "its files are not here; PrepareModel downloads it",
  downloading: "it is being downloaded",
  loading: "it is being loaded",
  draining: "it is being unloaded",
  unloading: "it is being unloaded",
};
