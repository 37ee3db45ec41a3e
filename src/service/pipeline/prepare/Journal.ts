import type { PrepareEvent, PrepareReport, PrepareStage } from "../../domain/preparation.ts";
import type { DownloadProgress } from "../../models/download/Downloads.ts";
import { mayFollow } from "./stages.ts";

type Outcome = Omit<PrepareReport, "type" | "timings" | "readyToChat">;

/** Tells the events of one preparation, in the order of its stages and with their times. */
export class Journal {
  readonly #emit: (event: PrepareEvent) => void;
  /** In milliseconds, from any fixed moment. */
  readonly #now: () => number;
  readonly #startedAt: number;
  readonly #entered: { readonly stage: PrepareStage; readonly at: number }[] = [];

  constructor(emit: (event: PrepareEvent) => void, now: () => number) {
    this.#emit = emit;
    this.#now = now;
    this.#startedAt = now();
  }

  enter(stage: PrepareStage): void {
    const current = this.#entered.at(-1)?.stage;
    if (!mayFollow(current, stage)) throw new RangeError(`${stage} may not follow ${current ?? "nothing"}`);
    this.#entered.push({ stage, at: this.#elapsedMs() });
    this.#emit({ type: "stage", stage, elapsedMs: this.#elapsedMs() });
  }

  log(message: string): void {
    const stage = this.#entered.at(-1)?.stage ?? "resolving";
    this.#emit({ type: "log", stage, message, elapsedMs: this.#elapsedMs() });
  }

  progress({ bytesDone, bytesTotal, filesDone, filesTotal }: DownloadProgress): void {
    this.#emit({ type: "progress", bytesDone, bytesTotal, filesDone, filesTotal, elapsedMs: this.#elapsedMs() });
  }

  /** Enters the last stage. */
  report(outcome: Outcome): void {
    this.enter(outcome.stage);
    const timings = this.#entered.slice(0, -1).map(({ stage, at }, index) => {
      const end = this.#entered[index + 1]?.at ?? at;
      return { stage, durationMs: end - at };
    });
    this.#emit({ type: "report", ...outcome, readyToChat: outcome.stage !== "failed", timings });
  }

  #elapsedMs(): number {
    return this.#now() - this.#startedAt;
  }
}
