import type { PrepareEvent, PrepareReport, PrepareStage, StageLog } from "../../domain/preparation.ts";
import type { DownloadProgress } from "../../models/download/Downloads.ts";
import { mayFollow, taskOf } from "./stages.ts";

type Outcome = Omit<PrepareReport, "type" | "timings" | "stageLogs">;

/** Emits the events of one preparation, in the order of its stages and with their times. */
export class Journal {
  readonly #emit: (event: PrepareEvent) => void;
  /** In milliseconds, from any fixed moment. */
  readonly #now: () => number;
  readonly #startedAt: number;
  readonly #entered: { readonly stage: PrepareStage; readonly at: number }[] = [];
  readonly #logs: StageLog[] = [];

  constructor(emit: (event: PrepareEvent) => void, now: () => number) {
    this.#emit = emit;
    this.#now = now;
    this.#startedAt = now();
  }

  enter(stage: PrepareStage, message: string = taskOf(stage)): void {
    const current = this.#entered.at(-1)?.stage;
    if (!mayFollow(current, stage)) throw new RangeError(`${stage} may not follow ${current ?? "nothing"}`);
    const elapsedMs = this.#elapsedMs();
    this.#entered.push({ stage, at: elapsedMs });
    this.#logs.push({ stage, message, extra: {}, elapsedMs });
    this.#emit({ type: "stage", stage, message, elapsedMs });
  }

  /** Enters a stage, unless this stage or a later one was entered before: repeated work is not reported again. */
  reach(stage: PrepareStage): void {
    if (mayFollow(this.#entered.at(-1)?.stage, stage)) this.enter(stage);
  }

  log(message: string, extra: StageLog["extra"] = {}): void {
    const stage = this.#entered.at(-1)?.stage ?? "resolving";
    const log = { stage, message, extra, elapsedMs: this.#elapsedMs() };
    this.#logs.push(log);
    this.#emit({ type: "log", ...log });
  }

  progress({ bytesDone, bytesTotal, filesDone, filesTotal }: DownloadProgress): void {
    this.#emit({ type: "progress", bytesDone, bytesTotal, filesDone, filesTotal, elapsedMs: this.#elapsedMs() });
  }

  /** Enters the final stage. */
  report(outcome: Outcome): PrepareReport {
    this.enter(outcome.stage, outcome.message);
    const timings = this.#entered.slice(0, -1).map(({ stage, at }, index) => {
      const end = this.#entered[index + 1]?.at ?? at;
      return { stage, durationMs: end - at };
    });
    const report: PrepareReport = { type: "report", ...outcome, timings, stageLogs: [...this.#logs] };
    this.#emit(report);
    return report;
  }

  #elapsedMs(): number {
    return this.#now() - this.#startedAt;
  }
}
