import type { CallOptions } from "../call.ts";
import type { ModelState } from "../enum-names.ts";
import type {
  EngineTasks as EngineTasksMessage,
  GetPartsHealthResponse,
  ModelTasks as ModelTasksMessage,
  ServicePart as ServicePartMessage,
  TaskKind as TaskKindMessage,
} from "../gen/mlxd/v1/diagnostics_service_pb.ts";
import type { Plain } from "../plain.ts";

/** A kind of task. */
export type TaskKind = Plain<TaskKindMessage>;

/** What the best model on an engine could support. */
export type EngineTasks = Plain<EngineTasksMessage>;

/** What a model supports, and why not the rest. */
export interface ModelTasks extends Omit<Plain<ModelTasksMessage>, "state"> {
  /** Its state. */
  readonly state: ModelState;
}

/** Which engines and models support which tasks. */
export interface SupportedTasks {
  /** The kinds of tasks. */
  readonly tasks: readonly TaskKind[];
  /** The engines that the service can run models on. */
  readonly engines: readonly EngineTasks[];
  /** The models, in the catalog's order. */
  readonly models: readonly ModelTasks[];
}

/** Options of {@link DiagnosticsClient.supportedTasks}. */
export interface SupportedTasksOptions extends CallOptions {
  /**
   * Only this kind of task, e.g. `tools`.
   * @default all
   */
  readonly task?: string | undefined;
  /**
   * Only this model, by any of its names.
   * @default all
   */
  readonly model?: string | undefined;
}

/** The state of a part of the service; `unknown` if it is newer than this client. */
export type PartState = "ok" | "unused" | "pending" | "degraded" | "down" | "unknown";

/** A part of the service. */
export interface ServicePart extends Omit<Plain<ServicePartMessage>, "kind" | "state"> {
  /** The kind of part. */
  readonly kind: "model" | "backend" | "queue" | "downloads" | "job_store" | "unknown";
  /** Its state. */
  readonly state: PartState;
}

/** The state of the service and of its parts. */
export interface PartsHealth extends Omit<Plain<GetPartsHealthResponse>, "parts" | "state"> {
  /** `ok` if nothing is wrong, `down` if no tasks are accepted, otherwise `degraded`. */
  readonly state: PartState;
  /** The parts. */
  readonly parts: readonly ServicePart[];
}

/** What the service can do, and the state of its parts. */
export interface DiagnosticsClient {
  /** Lists every kind of task with the engines and models that support it, and why others do not. */
  supportedTasks(options?: SupportedTasksOptions): Promise<SupportedTasks>;

  /** Returns the state of each part of the service, and why. */
  health(options?: CallOptions): Promise<PartsHealth>;
}
