/** What is the same for every task on its way through the pipeline, whatever it asks for: its waiting, and its end. */
import { Effect } from "effect";

import { CurrentCall, forTask } from "../domain/Call.ts";
import type { ServiceError } from "../domain/errors.ts";
import type { CachePolicy, SchedulingHints } from "../domain/generation.ts";
import type { Usage } from "../domain/usage.ts";
import type { Stats } from "../telemetry/Stats.ts";
import { describeCall, ofTenant } from "./of-caller.ts";
import { outcomeOf } from "./outcome.ts";
import { type Wait, withinQueueWait } from "./queue-wait.ts";
import { withFilesOfNow } from "./with-files-of-now.ts";

interface Task {
  readonly model: string;
  readonly scheduling: SchedulingHints;
  readonly cache?: CachePolicy;
}

interface Accounted {
  readonly usage: Usage;
  /** Whether it was ended by CancelGeneration. */
  readonly cancelled?: boolean;
}

/** Where a task has come to: what its end is accounted under. */
export interface Execution<R extends Accounted> {
  /** Id of the model; empty while it is not known which it is. */
  model: string;
  readonly wait: Wait;
  /** What it has used; undefined before it was ready to run. */
  record: R | undefined;
}

interface ExecuteOptions<T extends Task, R extends Accounted, A> {
  readonly task: T;
  readonly stats: Stats["Service"];
  /** The log's word for its end. */
  readonly ended: string;
  /** What else the log tells of it. */
  readonly describe: (record: R | undefined) => Readonly<Record<string, unknown>>;
  /** Whether something of it went out: then it cannot begin anew. @default nothing does before its end */
  readonly hasSent?: () => boolean;
  /** With the names that its caller gives kept apart from those of other tenants. */
  readonly run: (task: T, execution: Execution<R>) => Effect.Effect<A, ServiceError>;
}

/** Whatever the end, it is counted and logged once. */
export const executeTask = Effect.fnUntraced(function* <T extends Task, R extends Accounted, A>({
  task,
  stats,
  ended,
  describe,
  hasSent,
  run,
}: ExecuteOptions<T, R, A>): Effect.fn.Return<A, ServiceError> {
  const call = yield* CurrentCall;
  const own = ofTenant(call.caller, task);
  const wait: Wait = { for: "prompt", over: false };
  const execution: Execution<R> = { model: "", wait, record: undefined };
  const running = withFilesOfNow(
    Effect.suspend(() => run(own, execution)),
    hasSent,
  ).pipe(forTask(own.scheduling.fairnessId));
  return yield* withinQueueWait(task.scheduling.maxQueueWaitMs, wait, running).pipe(
    Effect.onExit((exit) => {
      const { model, record } = execution;
      const outcome = outcomeOf(exit, call, record?.cancelled);
      stats.ended(model, outcome, record?.usage);
      return Effect.annotateLogs(Effect.logInfo(ended), {
        ...describeCall(call),
        model: model || task.model,
        outcome,
        ...describe(record),
        ...record?.usage,
      });
    }),
  );
});
