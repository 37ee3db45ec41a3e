/** A request that an engine process computes: a generation or an embedding. */
import type { Exit } from "effect";

import type { SequenceEvent } from "../../worker/protocol/sequence-events.ts";
import type { SubmitMessage } from "../../worker/protocol/submit-message.ts";
import type { EngineFailure } from "../engine-failures.ts";

export interface EngineRun {
  /** Changes when the request is given to another process. */
  sequence: number;
  /** Number of processes that died while they had it. */
  deaths: number;
  /** The id to cancel it by; undefined if it can only be interrupted. */
  readonly id: string | undefined;
  /** Whether output was delivered. Then it cannot be replayed. */
  readonly streamed: boolean;
  readonly submission: SubmitMessage;
  /** Handles an event of its process. Returns how the request ended; undefined while it continues. */
  readonly receive: (event: SequenceEvent, context: RunContext) => RunEnd | undefined;
  /** Ends it as cancelled. Output that was held back is delivered. */
  readonly cancel: () => void;
}

export interface RunContext {
  /** Id of the model. */
  readonly model: string;
  /**
   * Called for each new token: whether it may be delivered. False while other requests still have to be tried alone.
   */
  readonly mayDeliver: () => boolean;
  /** The step that produced the event; undefined if it came outside of a step. */
  readonly step: StepTimes | undefined;
}

/** A step of an engine, in epoch milliseconds by the clock of its process. */
export interface StepTimes {
  /** The process's id. */
  readonly pid: number;
  readonly from: number;
  readonly to: number;
  /** How many sequences it decoded together. */
  readonly rows: number;
}

export interface RunEnd {
  readonly exit: Exit.Exit<void, EngineFailure>;
  /** Whether the process still computes the sequence and has to be told to stop. */
  readonly isComputing: boolean;
}
