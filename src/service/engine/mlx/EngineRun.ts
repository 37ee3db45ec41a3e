/** A request on its way through an engine process, whatever it asks for. */
import type { Exit } from "effect";

import type { SequenceEvent, SubmitMessage } from "../../worker/protocol.ts";
import type { EngineFailure } from "../Engine.ts";

export interface EngineRun {
  /** Another one when it is given to a process once more. */
  sequence: number;
  /** Processes that died while they had it. */
  deaths: number;
  /** What its caller cancels it by; undefined: it can only be interrupted. */
  readonly id: string | undefined;
  /** Whether something of it went out: then it cannot be computed once more. */
  readonly streamed: boolean;
  readonly submission: SubmitMessage;
  /** Takes in what its process says of it. Returns how it ended; undefined: it goes on. */
  readonly receive: (event: SequenceEvent, context: RunContext) => RunEnd | undefined;
  /** Ends it as cancelled: what was held back goes out. */
  readonly cancel: () => void;
}

export interface RunContext {
  /** Id of its model. */
  readonly model: string;
  /** To be asked for each new token: whether it may go out. False where other requests have yet to be tried alone. */
  readonly mayDeliver: () => boolean;
}

export interface RunEnd {
  readonly exit: Exit.Exit<void, EngineFailure>;
  /** Whether the process goes on with the sequence until it is told not to. */
  readonly isComputing: boolean;
}
