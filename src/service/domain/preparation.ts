/** A model on its way to being ready. */
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
  /** Id, alias or repository; empty is the default model. */
  readonly model: string;
  /** Empty: as it is here, or else the hub's main branch. */
  readonly revision: string;
  /** Whether a result of an earlier smoke test does not count. */
  readonly retest: boolean;
}

/** What to load, and how it is kept from then on. */
export interface LoadRequest {
  /** Id, alias or repository; empty is the default model. */
  readonly model: string;
  /** Undefined leaves it as it is, as for the next. */
  readonly pinned: boolean | undefined;
  /** 0: never. */
  readonly idleTtlMs: number | undefined;
}

interface Timed {
  /** Since the preparation began. */
  readonly elapsedMs: number;
}

interface StageEntered extends Timed {
  readonly type: "stage";
  readonly stage: PrepareStage;
  /** What happens in it, in one sentence. */
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
  /** The facts of the sentence by name. */
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

/** What was fetched. */
export interface DownloadResult {
  readonly repository: string;
  /** The commit. */
  readonly revision: string;
  readonly files: number;
  readonly bytes: number;
  /** Whether the hub's cache on this machine had it. */
  readonly fromCache: boolean;
}

/** The last event. */
export interface PrepareReport {
  readonly type: "report";
  readonly stage: "ready" | "degraded" | "failed";
  /** The stage as a quality. */
  readonly status: Quality;
  /** Undefined for a name that no model has. */
  readonly resolution: ModelIdentity | undefined;
  /** Undefined when the model is not here. */
  readonly model: ModelStatus | undefined;
  /** Id of the model that its engine holds now; empty when it is not loaded. */
  readonly current: string;
  /** What came of it, in one sentence. */
  readonly message: string;
  readonly downloaded: boolean;
  readonly loaded: boolean;
  readonly readyToChat: boolean;
  readonly compatibilityStatus: CompatibilityStatus;
  /** Undefined when it did not come to one. */
  readonly smokeTest: SmokeTest | undefined;
  /** In order. */
  readonly timings: ReadonlyArray<{ readonly stage: PrepareStage; readonly durationMs: number }>;
  /** What it failed with before the smoke test. */
  readonly error: ServiceError | undefined;
  /** Every stage and every line, in order. */
  readonly stageLogs: ReadonlyArray<StageLog>;
  /** Undefined when it did not come to look at the engine. */
  readonly installResult: InstallResult | undefined;
  /** Undefined when nothing was fetched. */
  readonly downloadResult: DownloadResult | undefined;
}

export type PrepareEvent = StageEntered | PrepareProgress | PrepareLog | PrepareReport;
