import { createClient, type Transport } from "@connectrpc/connect";
import { type Caller, checkOptions } from "../caller.ts";
import { checkText } from "../check.ts";
import {
  DiagnosticsService,
  EngineTasksSchema,
  GetPartsHealthResponseSchema,
  ModelTasksSchema,
  TaskKindSchema,
} from "../gen/mlxd/v1/diagnostics_service_pb.ts";
import { allPages } from "../pages.ts";
import { toPlain } from "../plain.ts";
import type { DiagnosticsClient, EngineTasks, ModelTasks, PartsHealth, TaskKind } from "./diagnostics.ts";

/** Models on a page: as many as the service gives. */
const pageSize = 1_000;

// The casts: toPlain names enum values by the same rule as the types, which it knows as string.

/** The calls of the DiagnosticsService. */
export const createDiagnosticsClient = (caller: Caller, transport: Transport): DiagnosticsClient => {
  const raw = createClient(DiagnosticsService, transport);
  return {
    supportedTasks: async (options = {}) => {
      const { task = "", model = "", ...call } = checkOptions(options);
      const request = { task: checkText(task, "task"), model: checkText(model, "model"), pageSize };
      let [tasks, engines]: [TaskKind[], EngineTasks[]] = [[], []];
      const models = await allPages(async (pageToken) => {
        const page = await caller.unary(call, (connect) => raw.listSupportedTasks({ ...request, pageToken }, connect));
        tasks = page.tasks.map((kind) => toPlain(TaskKindSchema, kind)); // the same ones on each page
        engines = page.engines.map((engine) => toPlain(EngineTasksSchema, engine));
        const items = page.models.map((each) => toPlain(ModelTasksSchema, each) as ModelTasks);
        return { items, next: page.nextPageToken };
      });
      return { tasks, engines, models };
    },

    health: async (options = {}) => {
      const health = await caller.unary(options, (connect) => raw.getPartsHealth({}, connect));
      return toPlain(GetPartsHealthResponseSchema, health) as PartsHealth;
    },
  };
};
