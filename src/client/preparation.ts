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

/** Options of a preparation. */
export interface PrepareOptions {
  /**
   * Branch, tag or commit of its repository.
   * @default the revision that the service has, or else the branch `main`
   */
  readonly revision?: string | undefined;
  /**
   * Repeat the smoke test although this revision was tested before.
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
  /** What happens in this stage, in one sentence. */
  readonly message: string;
  /** Milliseconds since the preparation began. */
  readonly elapsedMs: number;
}

/** Progress of the download. The bytes of a corrupt file are subtracted again. */
export interface ProgressEvent extends Plain<PrepareProgressMessage> {
  readonly type: "progress";
}

/** A line of the log. */
export interface LogEvent extends StageLog {
  readonly type: "log";
}

/** A line of the log of a stage. */
export interface StageLog {
  /** The stage that it belongs to. */
  readonly stage: PrepareStage;
  /** One sentence. */
  readonly message: string;
  /** The values in the sentence, by name. */
  readonly extra: Readonly<Record<string, string>>;
  /** Milliseconds since the preparation began. */
  readonly elapsedMs: number;
}

/** The model that a name refers to; the same for all stages. */
export type ModelResolution = Plain<ModelResolutionMessage>;

/** The engine that runs a model, and whether it had to be installed. */
export type InstallResult = Plain<InstallResultMessage>;

/** What was downloaded. */
export type DownloadResult = Plain<DownloadResultMessage>;

/** The preparation has ended. */
export interface ReportEvent extends PreparationReport {
  readonly type: "report";
}

/** The outcome of a preparation. A model that was downloaded is not necessarily able to chat. */
export interface PreparationReport {
  /** `ready`, `degraded` or `failed`. */
  readonly stage: PrepareStage;
  /** The stage as a quality: `ok`, `degraded` or `failed`. */
  readonly status: Quality;
  /** The model that the name refers to; undefined if there is none. */
  readonly resolution: ModelResolution | undefined;
  /** The current state of the model; undefined if the service does not have it. */
  readonly model: Model | undefined;
  /** Id of the model that its engine has loaded; empty if it is not loaded. */
  readonly current: string;
  /** The outcome, in one sentence. */
  readonly message: string;
  /** Whether this preparation downloaded its files. */
  readonly downloaded: boolean;
  /** Whether its engine has loaded it. */
  readonly loaded: boolean;
  /** Whether its answers are usable: `ready` or `degraded`. */
  readonly readyToChat: boolean;
  /** The result of the smoke test of this revision. */
  readonly compatibilityStatus: CompatibilityStatus;
  /** The smoke test; undefined if there was none. */
  readonly smokeTest: SmokeTest | undefined;
  /** How long each stage took, in order. */
  readonly timings: readonly StageTiming[];
  /** Why it failed; undefined if it did not fail, or because of the smoke test. */
  readonly error: MlxdError | undefined;
  /** The log of all stages, in order. */
  readonly stageLogs: readonly StageLog[];
  /** The engine that runs it; undefined if the preparation failed before. */
  readonly installResult: InstallResult | undefined;
  /** What was downloaded; undefined if nothing was. */
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
 * The events of one preparation. Leaving it (`break`, `return`, an error in the loop, `cancel()`, `await using`) ends it on the
 * server, unless other callers wait for the same model; files that were downloaded stay.
 */
export class PreparationStream extends EventStream<PrepareModelResponse, PreparationEvent> {
  readonly #reader: PreparationReader;

  /** For this package only: streams come from {@link MlxdClient.prepareModel}. */
  constructor(source: StreamSource<PrepareModelResponse>) {
    const reader = new PreparationReader();
    super(source, reader);
    this.#reader = reader;
  }

  /** Reads the rest of the stream and returns the report. A preparation that failed has one as well. */
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

/** Reads the report of a preparation. */
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

// The casts: enumName and toPlain return string; the types have the same names.
const stageFromWire = (stage: number): PrepareStage => enumName(PrepareStageSchema, stage) as PrepareStage;
const smokeTestFromWire = (test: SmokeTestMessage): SmokeTest => toPlain(SmokeTestSchema, test) as SmokeTest;
