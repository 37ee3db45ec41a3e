/** Health by backend, derived from the health of its models. */
import { Effect, Stream } from "effect";

import type { ModelCondition } from "../domain/model.ts";
import { Models } from "../models/Models.ts";
import { Health, type ServingStatus } from "./Health.ts";

/** Keeps the names `backends/{name}` up to date until the scope closes, one for each backend that has a model. */
export const watchBackends = Effect.gen(function* () {
  const health = yield* Health;
  const models = yield* Models;
  let before: ReadonlyMap<string, ServingStatus> = new Map();
  const tell = Effect.fnUntraced(function* (conditions: ReadonlyMap<string, ModelCondition>) {
    const now = backendStatuses(conditions);
    for (const [name, status] of now) yield* health.set(`backends/${name}`, status, reasons[status]);
    for (const name of before.keys()) if (!now.has(name)) yield* health.remove(`backends/${name}`);
    before = now;
  });
  yield* Effect.forkScoped(Stream.runForEach(models.changes, tell));
});

/** A backend serves unless a model that is loaded on it reports otherwise: a model that is not loaded was not tried. */
export const backendStatuses = (
  conditions: ReadonlyMap<string, ModelCondition>,
): ReadonlyMap<string, ServingStatus> => {
  const statuses = new Map<string, ServingStatus>();
  for (const { backend, delivers } of conditions.values()) {
    if (backend === undefined) continue;
    statuses.set(backend, delivers && statuses.get(backend) !== "not-serving" ? "serving" : "not-serving");
  }
  return statuses;
};

const reasons: Readonly<Record<ServingStatus, string>> = {
  serving: "",
  "not-serving": "it has repeatedly failed to answer, and is only tried now and then until it does",
};
