/** The state of each part of the service, derived from what the parts report. */
import { modelKey } from "./model-identity.ts";
import type { ModelState, ModelStatus } from "./model.ts";

type PartKind = "model" | "backend" | "queue" | "downloads" | "job_store";
/** From best to worst. */
export type PartState = "ok" | "unused" | "pending" | "degraded" | "down";

export interface ServicePart {
  readonly kind: PartKind;
  readonly name: string;
  readonly state: PartState;
  /** One sentence; may be empty for `ok`. */
  readonly reason: string;
}

export interface PartsFacts {
  readonly models: ReadonlyArray<ModelStatus>;
  /** Waiting and running tasks by model id. */
  readonly queues: ReadonlyMap<string, { readonly taken: number; readonly waiting: number }>;
  /** Tasks that may wait for each model. */
  readonly maxQueued: number;
  readonly isDraining: boolean;
  readonly isOffline: boolean;
  /** Undefined while nobody has needed it. */
  readonly jobStore: { readonly isWell: boolean; readonly reason: string } | undefined;
}

export const partsOf = (facts: PartsFacts): ReadonlyArray<ServicePart> => [
  ...facts.models.flatMap(modelPart),
  ...backendParts(facts.models),
  queuePart(facts),
  downloadsPart(facts),
  jobStorePart(facts),
];

/** If one part is down others still work, unless it is the queue: then no task is accepted. */
export const overallState = (parts: ReadonlyArray<ServicePart>): PartState => {
  if (parts.some(({ kind, state }) => kind === "queue" && state === "down")) return "down";
  return parts.some(({ state }) => state === "degraded" || state === "down") ? "degraded" : "ok";
};

const modelPart = ({ facts, state, stateReason }: ModelStatus): ReadonlyArray<ServicePart> => {
  const name = modelKey(facts.engine, facts.id);
  const part = (how: PartState, reason: string): ReadonlyArray<ServicePart> => [
    { kind: "model", name, state: how, reason },
  ];
  if (state === "failed") return part("down", stateReason);
  const coming = onTheWay[state];
  if (coming !== undefined) return part("pending", coming);
  if (state !== "active") return [];
  // A loaded model has a reason only if its engine does not answer.
  return part(stateReason === "" ? "ok" : "down", stateReason);
};

const onTheWay: Partial<Record<ModelState, string>> = {
  loading: "it is being loaded",
  draining: "it leaves memory when what it runs has finished",
  unloading: "it is leaving memory",
};

/** The state of another server follows from the states of its models. */
const backendParts = (models: ReadonlyArray<ModelStatus>): ReadonlyArray<ServicePart> => {
  const byBackend = Map.groupBy(
    models.filter(({ backend }) => backend !== undefined),
    ({ backend = "" }) => backend,
  );
  return [...byBackend].map(([name, own]) => {
    const part = (state: PartState, reason: string): ServicePart => ({ kind: "backend", name, state, reason });
    const used = own.filter(({ state }) => state === "active" || state === "draining" || state === "failed");
    if (used.length === 0) return part("unused", "no task has needed it since its models were last unloaded");
    const wrong = used.filter(({ stateReason }) => stateReason !== "");
    const [first] = wrong;
    if (first === undefined) return part("ok", "");
    return part(wrong.length === used.length ? "down" : "degraded", `model "${first.facts.id}": ${first.stateReason}`);
  });
};

const queuePart = ({ queues, maxQueued, isDraining }: PartsFacts): ServicePart => {
  const part = (state: PartState, reason: string): ServicePart => ({ kind: "queue", name: "queue", state, reason });
  if (isDraining) return part("down", "the service shuts down and takes no new tasks");
  const full = [...queues].find(([, { waiting }]) => waiting >= maxQueued && waiting > 0);
  if (full !== undefined) {
    const [model, { waiting }] = full;
    return part("degraded", `${waiting} tasks wait for model "${model}", and no more may`);
  }
  const all = [...queues.values()];
  const sum = (count: (queue: { taken: number; waiting: number }) => number) =>
    all.reduce((total, queue) => total + count(queue), 0);
  return part("ok", `${sum(({ taken }) => taken)} running, ${sum(({ waiting }) => waiting)} waiting`);
};

const downloadsPart = ({ models, isOffline }: PartsFacts): ServicePart => {
  const part = { kind: "downloads", name: "downloads" } as const;
  if (isOffline) return { ...part, state: "unused", reason: "MLXD_OFFLINE is set, so that nothing is downloaded" };
  const running = models.filter(({ state }) => state === "downloading").map(({ facts }) => facts.id);
  return running.length === 0
    ? { ...part, state: "unused", reason: "nothing is being downloaded" }
    : { ...part, state: "ok", reason: `being downloaded: ${running.join(", ")}` };
};

const jobStorePart = ({ jobStore }: PartsFacts): ServicePart => {
  const part = { kind: "job_store", name: "job_store" } as const;
  if (jobStore === undefined) return { ...part, state: "unused", reason: "no job has needed it" };
  return jobStore.isWell ? { ...part, state: "ok", reason: "" } : { ...part, state: "down", reason: jobStore.reason };
};
