/** What all kinds of tasks share: the limit of their wait, the retry after changed files, and the accounting at their end. */
import { Cause, Effect, type Exit, Result } from "effect";

import type { Access } from "../access/Access.ts";
import { CurrentCall, forTask } from "../domain/Call.ts";
import type { NotAllowed, ServiceError } from "../domain/errors.ts";
import type { CachePolicy, SchedulingHints } from "../domain/generation-task.ts";
import { present } from "../domain/present.ts";
import { addUsage, noUsage, type Usage } from "../domain/usage.ts";
import type { Outcome, Stats } from "../telemetry/Stats.ts";
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

/** How far a task has come. Its end is accounted under these values. */
export interface Execution<R extends Accounted> {
  /** Id of the model; empty until its name is resolved. */
  model: string;
  readonly wait: Wait;
  /** Undefined until the task is ready to run. */
  record: R | undefined;
  /** Usage before the record exists, such as that of summarising its conversation. */
  spent: Usage;
}

interface ExecuteOptions<T extends Task, R extends Accounted, A> {
  readonly task: T;
  readonly stats: Stats["Service"];
  readonly access: Pick<Access["Service"], "allowanceOf">;
  /** The log message of its end. */
  readonly ended: string;
  /** Further fields of that message. */
  readonly describe: (record: R | undefined) => Readonly<Record<string, unknown>>;
  /** Whether output was sent, after which the task cannot start again. @default no output is sent before its end */
  readonly hasSent?: () => boolean;
  /**
   * Does the work. The task's fairness id and cache partition are scoped to the caller's tenant, its priority is within
   * the tenant's range.
   */
  readonly run: (task: T, execution: Execution<R>) => Effect.Effect<A, ServiceError>;
}

/** Runs a task within its maximum wait. Its end is counted and logged once, however it ends. */
export const executeTask = Effect.fnUntraced(function* <T extends Task, R extends Accounted, A>({
  task,
  stats,
  access,
  ended,
  describe,
  hasSent,
  run,
}: ExecuteOptions<T, R, A>): Effect.fn.Return<A, ServiceError> {
  const call = yield* CurrentCall;
  const own = ofTenant(call.caller, task);
  const prioritized = (asked: T): Effect.Effect<T, NotAllowed> =>
    Effect.map(Effect.fromResult(access.allowanceOf(call.caller).priority(asked.scheduling.priority)), (priority) => ({
      ...asked,
      scheduling: { ...asked.scheduling, ...present({ priority }) },
    }));
  const wait: Wait = { for: "prompt", over: false };
  const execution: Execution<R> = { model: "", wait, record: undefined, spent: noUsage };
  const running = withFilesOfNow(
    Effect.flatMap(prioritized(own), (prioritizedTask) => run(prioritizedTask, execution)),
    hasSent,
  ).pipe(forTask(own.scheduling.fairnessId));
  return yield* withinQueueWait(task.scheduling.maxQueueWaitMs, wait, running).pipe(
    Effect.onExit((exit) => {
      const { model, record, spent } = execution;
      // If the engine never began the task, nothing was computed.
      const begun = wait.over ? record?.usage : undefined;
      const usage = spent === noUsage ? begun : addUsage(spent, begun ?? noUsage);
      const outcome = outcomeOf(exit, call, record?.cancelled);
      stats.ended(model, outcome, usage);
      const told = Effect.annotateLogs(outcome === "failed" ? Effect.logWarning(ended) : Effect.logInfo(ended), {
        ...describeCall(call),
        model: model || task.model,
        outcome,
        ...failureOf(exit),
        ...describe(record),
        ...usage,
      });
      return Effect.andThen(Effect.annotateCurrentSpan(spanAttributes(model, outcome, usage)), told);
    }),
  );
});

/** What went wrong, without the error's message: that may quote the task. A defect is logged by itself, with its cause. */
const failureOf = (exit: Exit.Exit<unknown, ServiceError>): Readonly<Record<string, string>> => {
  if (exit._tag === "Success") return {};
  const found = Cause.findError(exit.cause);
  if (Result.isFailure(found)) return {};
  const error = found.success;
  return error._tag === "BackendUnavailable"
    ? { error: error._tag, backend: error.backend, cause: error.cause }
    : { error: error._tag };
};

/** By OpenTelemetry's conventions for generative AI. */
const spanAttributes = (model: string, outcome: Outcome, usage: Usage | undefined) => ({
  "gen_ai.request.model": model,
  "mlxd.outcome": outcome,
  ...(usage !== undefined && {
    "gen_ai.usage.input_tokens": usage.promptTokens,
    "gen_ai.usage.output_tokens": usage.outputTokens,
  }),
});
