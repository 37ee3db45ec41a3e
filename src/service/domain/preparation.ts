/** Requests to load and prepare a model, and the progress of a preparation. */
import type { CompatibilityStatus } from "./compatibility.ts";
import type { ServiceError } from "./errors.ts";
import type { ModelStatus } from "./model.ts";
import type { ModelIdentity } from "./model-identity.ts";
import type { Quality, SmokeTest } from "./smoke-test.ts";

export type PrepareStage =
  | "resolving"
  | "engine-check"
  | "engine-install"
  | "downloading"
  | "server-starting"
  | "model-serving"
  | "model-loading"
  | "smoke-test"
  | "ready"
  | "degraded"
  | "failed";

export interface PrepareRequest {
  /** Id, alias or repository; empty for the default model. */
  readonly model: string;
  /** Empty: the local files if there are any, otherwise the hub's main branch. */
  readonly revision: string;
  /** Repeat the smoke test even if an earlier result exists. */
  readonly retest: boolean;
}

/** Which model to load, and how to keep it afterwards. */
export interface LoadRequest {
  /** Id, alias or repository; empty for the default model. */
  readonly model: string;
  /** Undefined leaves the setting unchanged, as it does for `idleTtlMs`. */
  readonly pinned: boolean | undefined;
  /** 0: never unload. */
  readonly idleTtlMs: number | undefined;
}

interface Timed {
  /** Time since the preparation began. */
  readonly elapsedMs: number;
}

interface StageEntered extends Timed {
  readonly type: "stage";
  readonly stage: PrepareStage;
  /** What happens in this stage, in one sentence. */
  readonly message: string;
}

interface PrepareProgress extends Timed {
  readonly type: "progress";
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly filesDone: number;
  readonly filesTotal: number;
}

/** A line for people. */
export interface StageLog extends Timed {
  readonly stage: PrepareStage;
  readonly message: string;
  /** The facts in the sentence, by name. */
  readonly extra: Readonly<Record<string, string>>;
}

interface PrepareLog extends StageLog {
  readonly type: "log";
}

/** The engine that runs a model, and whether it had to be installed. */
export interface InstallResult {
  readonly engine: string;
  readonly version: string;
  readonly installed: boolean;
}

/** What was downloaded. */
export interface DownloadResult {
  readonly repository: string;
  /** The commit. */
  readonly revision: string;
  readonly files: number;
  readonly bytes: number;
  /** Whether the files came from the hub's cache on this machine. */
  readonly fromCache: boolean;
}

/** The last event of a preparation. */
export interface PrepareReport {
  readonly type: "report";
  readonly stage: "ready" | "degraded" | "failed";
  /** The final stage expressed as a quality. */
  readonly status: Quality;
  /** Undefined if no model has the name. */
  readonly resolution: ModelIdentity | undefined;
  /** Undefined if the model is not on this machine. */
  readonly model: ModelStatus | undefined;
  /** Id of the model that its engine holds now; empty if it is not loaded. */
  readonly current: string;
  /** The outcome in one sentence. */
  readonly message: string;
  readonly downloaded: boolean;
  readonly loaded: boolean;
  readonly readyToChat: boolean;
  readonly compatibilityStatus: CompatibilityStatus;
  /** Undefined if the smoke test was not reached. */
  readonly smokeTest: SmokeTest | undefined;
  /** In order. */
  readonly timings: ReadonlyArray<{ readonly stage: PrepareStage; readonly durationMs: number }>;
  /** Why it failed before the smoke test. */
  readonly error: ServiceError | undefined;
  /** Every stage and every line, in order. */
  readonly stageLogs: ReadonlyArray<StageLog>;
  /** Undefined if the engine was not checked. */
  readonly installResult: InstallResult | undefined;
  /** Undefined if nothing was downloaded. */
  readonly downloadResult: DownloadResult | undefined;
}

export type PrepareEvent = StageEntered | PrepareProgress | PrepareLog | PrepareReport;
