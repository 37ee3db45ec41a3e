import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { Clock, Effect } from "effect";

import { type DiagnosticsService, PartKind, PartState } from "../../client/gen/mlxd/v1/diagnostics_service_pb.ts";
import { Admission } from "../admission/Admission.ts";
import { AdmissionConfig } from "../config/AdmissionConfig.ts";
import { DownloadConfig } from "../config/DownloadConfig.ts";
import { canonicalEngine, localEngine, localEngineName } from "../domain/engine-names.ts";
import { InvalidField } from "../domain/errors.ts";
import { modelKey } from "../domain/model-identity.ts";
import type { ModelStatus } from "../domain/model.ts";
import { overallState, partsOf, type ServicePart } from "../domain/parts-health.ts";
import { type Abilities, modelSupportOf, supportOf, taskKinds } from "../domain/supported-tasks.ts";
import { Engines } from "../engine/Engines.ts";
import { Jobs } from "../jobs/Jobs.ts";
import { Load } from "../load/Load.ts";
import { Models } from "../models/Models.ts";
import { Preparations } from "../pipeline/prepare/Preparations.ts";
import { Bridge } from "./Bridge.ts";
import { pageOf } from "./model-pages.ts";
import { modelStates } from "./model-to-wire.ts";

export const makeDiagnosticsService = Effect.gen(function* () {
  const bridge = yield* Bridge;
  const models = yield* Models;
  const preparations = yield* Preparations;
  const engines = yield* Engines;
  const admission = yield* Admission;
  const { maxQueued } = yield* AdmissionConfig;
  const { offline } = yield* DownloadConfig;
  const jobs = yield* Jobs;
  const load = yield* Load;

  const optionsOf = (engine: string) => engines.conversations[engine]?.options;
  /** What is possible at best on each engine. */
  const abilities: ReadonlyArray<readonly [engine: string, Abilities]> = [
    [localEngine, { capabilities: localCapabilities, options: undefined }],
    ...Object.entries(engines.conversations).map(
      ([engine, { capabilities, options }]) => [engine, { capabilities, options }] as const,
    ),
  ];

  return {
    listSupportedTasks: (received, context) =>
      bridge.unary(received, context, ({ task, model, ...paging }) =>
        Effect.gen(function* () {
          const kinds = task === "" ? taskKinds : taskKinds.filter(({ name }) => name === task);
          if (kinds.length === 0) return yield* unknownTask(task);
          const all = yield* models.list;
          const listed = model === "" ? all : [yield* models.get(model)];
          const page = yield* Effect.fromResult(pageOf(listed, { ...paging, states: new Set(), engines: new Set() }));
          const countOn = (engine: string) => all.filter(({ facts }) => facts.engine === engine).length;
          return {
            tasks: kinds.map(({ name, description, calls }) => ({ name, description, calls: [...calls] })),
            engines: abilities.map(([engine, of]) => ({
              engine: engineNameOf(engine),
              models: countOn(engine),
              tasks: [...supportOf(of, kinds)],
            })),
            models: page.models.map((status) => ({
              ...namesOf(status),
              state: modelStates[status.state],
              tasks: [
                ...modelSupportOf(
                  status,
                  optionsOf(status.facts.engine),
                  preparations.refusesChat(status.facts),
                  kinds,
                ),
              ],
            })),
            nextPageToken: page.nextPageToken,
          };
        }),
      ),
    getPartsHealth: (received, context) =>
      bridge.unary(received, context, () =>
        Effect.gen(function* () {
          // Those that the caller may know of.
          const listed = yield* models.list;
          const ids = new Set(listed.map(({ facts }) => facts.id));
          const parts = partsOf({
            models: listed,
            queues: new Map([...admission.load()].filter(([model]) => ids.has(model))),
            maxQueued,
            isDraining: (yield* load.now).draining,
            isOffline: offline,
            jobStore: jobs.storeCondition(),
          });
          return {
            state: states[overallState(parts)],
            parts: parts.map(partToWire),
            takenAt: timestampFromMs(yield* Clock.currentTimeMillis),
          };
        }),
      ),
  } satisfies ServiceImpl<typeof DiagnosticsService>;
});

/** Of models in this machine's folder: what no model of it can do is not there. */
const localCapabilities = {
  chat: true,
  tools: true,
  vision: false,
  logprobs: true,
  adapters: true,
  embeddings: true,
  constraints: ["json_schema", "json_object", "regex", "grammar", "choice"],
};

const engineNameOf = (engine: string): string =>
  engine === localEngine ? localEngineName : (canonicalEngine(engine) ?? engine);

const namesOf = ({ facts: { engine, id } }: ModelStatus) => ({
  key: modelKey(engine, id),
  model: id,
  engine: engineNameOf(engine),
});

const unknownTask = (task: string): InvalidField => {
  const names = taskKinds.map(({ name }) => name).join(", ");
  const description = `${JSON.stringify(task)} is no kind of task; there are ${names}`;
  return new InvalidField({ violations: [{ field: "task", description }] });
};

const partToWire = ({ kind, name, state, reason }: ServicePart) => ({
  kind: partKinds[kind],
  name,
  state: states[state],
  reason,
});

const partKinds = {
  model: PartKind.MODEL,
  backend: PartKind.BACKEND,
  queue: PartKind.QUEUE,
  downloads: PartKind.DOWNLOADS,
  job_store: PartKind.JOB_STORE,
} as const;

const states = {
  ok: PartState.OK,
  unused: PartState.UNUSED,
  pending: PartState.PENDING,
  degraded: PartState.DEGRADED,
  down: PartState.DOWN,
} as const;
