import { durationMs } from "@bufbuild/protobuf/wkt";
import { errorFromStatus } from "./decode-error.ts";
import { type Model, modelFromWire, type SmokeTest } from "./descriptions.ts";
import { enumName, type PrepareStage } from "./enum-names.ts";
import { type MlxdError, protocolError } from "./errors.ts";
import { EventStream, type StreamReader, type StreamSource } from "./event-stream.ts";
import {
  type PrepareModelResponse,
  PrepareProgressSchema,
  type PrepareProgress as PrepareProgressMessage,
  type PrepareReport as PrepareReportMessage,
  PrepareStageSchema,
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
  /** Milliseconds since the preparation began. */
  readonly elapsedMs: number;
}

/** More was downloaded. Bytes that turned out wrong are taken back. */
export interface ProgressEvent extends Plain<PrepareProgressMessage> {
  readonly type: "progress";
}

/** A line for people. */
export interface LogEvent {
  readonly type: "log";
  /** The stage that it belongs to. */
  readonly stage: PrepareStage;
  /** One sentence. */
  readonly message: string;
  /** Milliseconds since the preparation began. */
  readonly elapsedMs: number;
}

/** The preparation is over. */
export interface ReportEvent extends PreparationReport {
  readonly type: "report";
}

/** What came of a preparation. That a model was downloaded does not say that it can chat. */
export interface PreparationReport {
  /** `ready`, `degraded` or `failed`. */
  readonly stage: PrepareStage;
  /** The model as it is now; undefined when the service does not have it. */
  readonly model: Model | undefined;
  /** Whether this preparation fetched its files. */
  readonly downloaded: boolean;
  /** Whether its engine holds it. */
  readonly loaded: boolean;
  /** Whether its answers are of use: `ready` or `degraded`. */
  readonly readyToChat: boolean;
  /** How it did when it was asked a question; undefined when it came to none. */
  readonly smokeTest: SmokeTest | undefined;
  /** How long each stage took, in order. */
  readonly timings: readonly StageTiming[];
  /** Why it failed; undefined when the smoke test is the reason, and when it did not fail. */
  readonly error: MlxdError | undefined;
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
        const { stage, elapsed } = event.value;
        return { type: "stage", stage: stageFromWire(stage), elapsedMs: elapsed ? durationMs(elapsed) : 0 };
      }
      case "progress":
        return { type: "progress", ...toPlain(PrepareProgressSchema, event.value) };
      case "log": {
        const { stage, message, elapsed } = event.value;
        return { type: "log", stage: stageFromWire(stage), message, elapsedMs: elapsed ? durationMs(elapsed) : 0 };
      }
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

const reportFromWire = (report: PrepareReportMessage): PreparationReport => ({
  stage: stageFromWire(report.stage),
  model: report.model && modelFromWire(report.model),
  downloaded: report.downloaded,
  loaded: report.loaded,
  readyToChat: report.readyToChat,
  smokeTest: report.smokeTest && smokeTestFromWire(report.smokeTest),
  timings: report.timings.map(({ stage, duration }) => ({
    stage: stageFromWire(stage),
    durationMs: duration ? durationMs(duration) : 0,
  })),
  error: report.error && errorFromStatus(report.error),
});

// The casts: both name enum values by the same rule as the types, which they know as string.
const stageFromWire = (stage: number): PrepareStage => enumName(PrepareStageSchema, stage) as PrepareStage;
const smokeTestFromWire = (test: SmokeTestMessage): SmokeTest => toPlain(SmokeTestSchema, test) as SmokeTest;
