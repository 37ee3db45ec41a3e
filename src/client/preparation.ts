import { durationMs } from "@bufbuild/protobuf/wkt";
import { errorFromStatus } from "./decode-error.ts";
import { type Model, modelFromWire, type SmokeTest } from "./descriptions.ts";
import { type CompatibilityStatus, enumName, type PrepareStage, type Quality } from "./enum-names.ts";
import { type MlxdError, protocolError } from "./errors.ts";
import { EventStream, type StreamReader, type StreamSource } from "./event-stream.ts";
import {
  CompatibilityStatusSchema,
  type DownloadResult as DownloadResultMessage,
  DownloadResultSchema,
  type InstallResult as InstallResultMessage,
  InstallResultSchema,
  type ModelResolution as ModelResolutionMessage,
  ModelResolutionSchema,
  type PrepareLog as PrepareLogMessage,
  type PrepareModelResponse,
  PrepareProgressSchema,
  type PrepareProgress as PrepareProgressMessage,
  type PrepareReport as PrepareReportMessage,
  PrepareStageSchema,
  QualitySchema,
  type SmokeTest as SmokeTestMessage,
  SmokeTestSchema,
} from "./gen/mlxd/v1/model_service_pb.ts";
import { type Plain, toPlain } from "./plain.ts";

/** What to prepare of a model, and how. */
export interface PrepareOptions {
  /**
   * Branch, tag or commit of its repository.
   * @default the model as it is at the service, or else the branch `main`
   */
  readonly revision?: string | undefined;
  /**
   * Try the model again although it was tried at this revision before.
   * @default false
   */
  readonly retest?: boolean | undefined;
}

/** An event of a preparation: any number of `stage`, `progress` and `log`, then one `report`. */
export type PreparationEvent = StageEvent | ProgressEvent | LogEvent | ReportEvent;

/** A stage began. */
export interface StageEvent {
  readonly type: "stage";
  /** Which one. */
  readonly stage: PrepareStage;
  /** What happens in it, in one sentence. */
  readonly message: string;
  /** Milliseconds since the preparation began. */
  readonly elapsedMs: number;
}

/** More was downloaded. Bytes that turned out wrong are taken back. */
export interface ProgressEvent extends Plain<PrepareProgressMessage> {
  readonly type: "progress";
}

/** A line for people. */
export interface LogEvent extends StageLog {
  readonly type: "log";
}

/** What was told of a stage. */
export interface StageLog {
  /** The stage that it belongs to. */
  readonly stage: PrepareStage;
  /** One sentence. */
  readonly message: string;
  /** The facts of the sentence by name, where it has any. */
  readonly extra: Readonly<Record<string, string>>;
  /** Milliseconds since the preparation began. */
  readonly elapsedMs: number;
}

/** What a model's name came to: one identity for every stage. */
export type ModelResolution = Plain<ModelResolutionMessage>;

/** The engine that runs a model, and whether it had to be installed. */
export type InstallResult = Plain<InstallResultMessage>;

/** What was fetched. */
export type DownloadResult = Plain<DownloadResultMessage>;

/** The preparation is over. */
export interface ReportEvent extends PreparationReport {
  readonly type: "report";
}

/** What came of a preparation. That a model was downloaded does not say that it can chat. */
export interface PreparationReport {
  /** `ready`, `degraded` or `failed`. */
  readonly stage: PrepareStage;
  /** The stage as a quality: `ok`, `degraded` or `failed`. */
  readonly status: Quality;
  /** What the name came to; undefined for a name that no model has. */
  readonly resolution: ModelResolution | undefined;
  /** The model as it is now; undefined when the service does not have it. */
  readonly model: Model | undefined;
  /** Id of the model that its engine holds now; empty when it is not loaded. */
  readonly current: string;
  /** What came of it, in one sentence. */
  readonly message: string;
  /** Whether this preparation fetched its files. */
  readonly downloaded: boolean;
  /** Whether its engine holds it. */
  readonly loaded: boolean;
  /** Whether its answers are of use: `ready` or `degraded`. */
  readonly readyToChat: boolean;
  /** What is known of the model's answers at its revision. */
  readonly compatibilityStatus: CompatibilityStatus;
  /** How it did when it was asked a question; undefined when it came to none. */
  readonly smokeTest: SmokeTest | undefined;
  /** How long each stage took, in order. */
  readonly timings: readonly StageTiming[];
  /** Why it failed; undefined when the smoke test is the reason, and when it did not fail. */
  readonly error: MlxdError | undefined;
  /** Each stage and each line that was told of it, in order. */
  readonly stageLogs: readonly StageLog[];
  /** The engine that runs it; undefined when the preparation did not come that far. */
  readonly installResult: InstallResult | undefined;
  /** What was fetched; undefined when nothing was. */
  readonly downloadResult: DownloadResult | undefined;
}

/** A stage and its duration. */
export interface StageTiming {
  /** Which one. */
  readonly stage: PrepareStage;
  /** How long it took. */
  readonly durationMs: number;
}

/**
 * The events of one preparation. To leave it (`break`, `return`, an error in the loop, `cancel()`, `await using`) is to
 * end it on the server, unless others wait for the same model; what was downloaded stays.
 */
export class PreparationStream extends EventStream<PrepareModelResponse, PreparationEvent> {
  readonly #reader: PreparationReader;

  /** For this package only: streams come from {@link MlxdClient.prepareModel}. */
  constructor(source: StreamSource<PrepareModelResponse>) {
    const reader = new PreparationReader();
    super(source, reader);
    this.#reader = reader;
  }

  /** Reads what is left and returns the report. A preparation that failed has one too, with its reason. */
  async collect(): Promise<PreparationReport> {
    await this.drain();
    return this.#reader.report();
  }
}

class PreparationReader implements StreamReader<PrepareModelResponse, PreparationEvent> {
  #report: PreparationReport | undefined;

  readonly accept = ({ event }: PrepareModelResponse): PreparationEvent | undefined => {
    if (this.#report) throw protocolError("an event came after the preparation's report");
    switch (event.case) {
      case "stage": {
        const { stage, message, elapsed } = event.value;
        return { type: "stage", stage: stageFromWire(stage), message, elapsedMs: elapsed ? durationMs(elapsed) : 0 };
      }
      case "progress":
        return { type: "progress", ...toPlain(PrepareProgressSchema, event.value) };
      case "log":
        return { type: "log", ...logFromWire(event.value) };
      case "report":
        this.#report = reportFromWire(event.value);
        return { type: "report", ...this.#report };
      case undefined: // a kind of event that is newer than this client
        return undefined;
    }
  };

  readonly end = (): void => void this.report();

  report(): PreparationReport {
    if (!this.#report) throw protocolError("the preparation ended without its report");
    return this.#report;
  }
}

/** Reads what came of a preparation. */
export const reportFromWire = (report: PrepareReportMessage): PreparationReport => ({
  stage: stageFromWire(report.stage),
  status: enumName(QualitySchema, report.status) as Quality,
  resolution: report.resolution && toPlain(ModelResolutionSchema, report.resolution),
  model: report.model && modelFromWire(report.model),
  current: report.current,
  message: report.message,
  downloaded: report.downloaded,
  loaded: report.loaded,
  readyToChat: report.readyToChat,
  compatibilityStatus: enumName(CompatibilityStatusSchema, report.compatibilityStatus) as CompatibilityStatus,
  smokeTest: report.smokeTest && smokeTestFromWire(report.smokeTest),
  timings: report.timings.map(({ stage, duration }) => ({
    stage: stageFromWire(stage),
    durationMs: duration ? durationMs(duration) : 0,
  })),
  error: report.error && errorFromStatus(report.error),
  stageLogs: report.stageLogs.map(logFromWire),
  installResult: report.installResult && toPlain(InstallResultSchema, report.installResult),
  downloadResult: report.downloadResult && toPlain(DownloadResultSchema, report.downloadResult),
});

const logFromWire = ({ stage, message, extra, elapsed }: PrepareLogMessage): StageLog => ({
  stage: stageFromWire(stage),
  message,
  extra: { ...extra },
  elapsedMs: elapsed ? durationMs(elapsed) : 0,
});

// The casts: all name enum values by the same rule as the types, which they know as string.
const stageFromWire = (stage: number): PrepareStage => enumName(PrepareStageSchema, stage) as PrepareStage;
const smokeTestFromWire = (test: SmokeTestMessage): SmokeTest => toPlain(SmokeTestSchema, test) as SmokeTest;
