/**
 * Tells systemd that the service is ready, what it does and that it is alive, where systemd has started it and asks. Node has no Unix
 * datagram sockets, so `systemd-notify` tells it: the unit needs `NotifyAccess=all`.
 */
import { execFile } from "node:child_process";
import { Context, Duration, Effect, Layer, Ref, Schedule, Stream } from "effect";

import { SupervisorConfig } from "./config/SupervisorConfig.ts";
import { elapsedMs } from "./domain/elapsed.ts";
import type { ModelCondition } from "./domain/model.ts";
import { Models } from "./models/Models.ts";
import { Health, type ReportedHealth } from "./server/Health.ts";

/** How systemd is told: assignments as sd_notify(3) has them. */
export class Systemd extends Context.Service<
  Systemd,
  { readonly notify: (assignments: ReadonlyArray<string>) => Effect.Effect<void> }
>()("mlxd/Systemd") {
  static readonly layer = Layer.succeed(
    Systemd,
    Systemd.of({
      notify: (assignments) =>
        Effect.callback<void, Error>((resume) => {
          // It ends within moments, or systemd does not read its socket: then nothing is lost with it.
          execFile("systemd-notify", [...assignments], { timeout: notifyTimeoutMs }, (error) =>
            resume(error === null ? Effect.void : Effect.fail(error)),
          );
        }).pipe(Effect.catch((error) => Effect.logError(`systemd could not be told: ${error.message}`))),
    }),
  );
}

const notifyTimeoutMs = 10_000;

/** What is told of a moment. */
export interface Moment {
  readonly status: string;
  /** No model answers, and that because engines that should deliver tokens do not. */
  readonly isStuck: boolean;
}

/**
 * Ready at once, then the state whenever it changes and the sign of life three times in each watchdog period, until it is interrupted.
 * There is no sign of life when this thread is held up; nor when no model has answered for five periods because engines
 * deliver nothing: by then each of them should have been started anew, so whoever should have done that is stuck itself. A service whose
 * models are missing, broken or unloaded lives: a restart would mend nothing.
 */
export const tellSystemd = Effect.gen(function* () {
  const { socket, watchdogMs } = yield* SupervisorConfig;
  if (socket === undefined) return yield* Effect.never;
  const { notify } = yield* Systemd;
  const { changes } = yield* Models;
  const health = yield* Health;
  const conditions = yield* Ref.make<ReadonlyMap<string, ModelCondition>>(new Map());
  yield* Effect.forkChild(Stream.runForEach(changes, (now) => Ref.set(conditions, now)));
  const isAlive = aliveness((watchdogMs ?? Number.POSITIVE_INFINITY) * stuckPeriods);
  let told = "";
  const tell = Effect.gen(function* () {
    const { status, isStuck } = momentOf((yield* health.all).get(""), yield* Ref.get(conditions));
    const lives = watchdogMs !== undefined && isAlive(isStuck, yield* elapsedMs);
    const news = [...(status === told ? [] : [`STATUS=${status}`]), ...(lives ? ["WATCHDOG=1"] : [])];
    told = status;
    if (news.length > 0) yield* notify(news);
  });
  yield* notify(["READY=1"]);
  const interval = Math.min((watchdogMs ?? Number.POSITIVE_INFINITY) / 3, statusIntervalMs);
  yield* Effect.repeat(tell, Schedule.spaced(Duration.millis(interval)));
  return yield* Effect.never;
}).pipe(
  Effect.onInterrupt(() =>
    Effect.gen(function* () {
      if ((yield* SupervisorConfig).socket !== undefined)
        yield* (yield* Systemd).notify(["STOPPING=1", "STATUS=draining"]);
    }),
  ),
);

const stuckPeriods = 5;
const statusIntervalMs = 10_000;

export const momentOf = (
  server: ReportedHealth | undefined,
  conditions: ReadonlyMap<string, ModelCondition>,
): Moment => {
  const isServing = server?.status === "serving";
  const reason = server?.reason ?? "";
  return {
    status: isServing ? "serving" : `not serving${reason === "" ? "" : `: ${reason}`}`,
    isStuck: !isServing && [...conditions.values()].some(({ delivers }) => !delivers),
  };
};

/** Remembers since when the service is stuck; times are milliseconds. */
export const aliveness = (patienceMs: number): ((isStuck: boolean, now: number) => boolean) => {
  let since: number | undefined;
  return (isStuck, now) => {
    since = isStuck ? (since ?? now) : undefined;
    return since === undefined || now - since < patienceMs;
  };
};
