/** A model on its way to being ready. */
import type { ServiceError } from "./errors.ts";
import type { ModelStatus } from "./model.ts";

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

export type Quality = "ok" | "degraded" | "failed";

/** How a model did when it was asked a simple question. */
export interface SmokeTest {
  readonly quality: Quality;
  /** `ok` where nothing was found. */
  readonly reason: string;
  /** A long one is cut. */
  readonly answer: string;
  /** Epoch milliseconds. */
  readonly testedAt: number;
  readonly durationMs: number;
}

export interface PrepareRequest {
  /** Id, alias or repository; empty is the default model. */
  readonly model: string;
  /** Empty: as it is here, or else the hub's main branch. */
  readonly revision: string;
  /** Whether a result of an earlier smoke test does not count. */
  readonly retest: boolean;
}

interface Timed {
  /** Since the preparation began. */
  readonly elapsedMs: number;
}

interface StageEntered extends Timed {
  readonly type: "stage";
  readonly stage: PrepareStage;
}

interface PrepareProgress extends Timed {
  readonly type: "progress";
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly filesDone: number;
  readonly filesTotal: number;
}

interface PrepareLog extends Timed {
  readonly type: "log";
  readonly stage: PrepareStage;
  readonly message: string;
}

/** The last event. */
export interface PrepareReport {
  readonly type: "report";
  readonly stage: "ready" | "degraded" | "failed";
  /** Undefined when the model is not here. */
  readonly model: ModelStatus | undefined;
  readonly downloaded: boolean;
  readonly loaded: boolean;
  readonly readyToChat: boolean;
  /** Undefined when it did not come to one. */
  readonly smokeTest: SmokeTest | undefined;
  /** In order. */
  readonly timings: ReadonlyArray<{ readonly stage: PrepareStage; readonly durationMs: number }>;
  /** What it failed with before the smoke test. */
  readonly error: ServiceError | undefined;
}

export type PrepareEvent = StageEntered | PrepareProgress | PrepareLog | PrepareReport;
