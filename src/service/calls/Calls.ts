/**
 * Runs calls from receipt to end, independent of their protocol. Each runs in a fiber of its own, which is interrupted
 * when the caller leaves, the deadline passes, the reader stalls or the service shuts down.
 */
import { Cause, Clock, Context, Effect, type Exit, type Fiber, FiberSet, Layer, Stream } from "effect";

import { ServerConfig, type ServerSettings } from "../config/ServerConfig.ts";
import { type Call, CurrentCall } from "../domain/Call.ts";
import type { Caller } from "../domain/Caller.ts";
import { ClientStalled, DeadlineExceeded, type Progress, type ServiceError } from "../domain/errors.ts";
import { spanWriter } from "../telemetry/traces/spans.ts";
import { type CallFailure, failureFrom } from "./failure.ts";
import { inTrace } from "./in-trace.ts";
import { Outbox } from "./Outbox.ts";
import type { TraceParent } from "./trace-context.ts";

/** What the protocol adapter knows about a call. */
export interface Incoming {
  /** The method's name in logs: `mlxd.v1.GenerationService/Generate`. */
  readonly method: string;
  readonly requestId: string;
  readonly caller: Caller;
  /** Milliseconds on the clock of performance.now(). */
  readonly receivedAt: number;
  /** How long the caller waits, counted from `receivedAt`; undefined if it set no deadline. */
  readonly timeoutMs: number | undefined;
  /** Calls back once the caller has left; immediately if it has already left. */
  readonly onLeave: (listener: () => void) => void;
  /** The caller's trace context. Undefined for calls that are not traced, such as health checks. */
  readonly trace?: { readonly parent: TraceParent | undefined };
  /**
   * Makes the protocol's error of a failure.
   *
   * @param traceId id of the call's trace, if it has one
   */
  readonly toError: (failure: CallFailure, traceId?: string) => Error;
  /** Resets the call's stream immediately, for a reader that no longer takes anything, not even an error. */
  readonly reset: () => void;
}

export interface Outgoing<A, Message> {
  readonly stream: Stream.Stream<A, ServiceError>;
  /** Called once for each event, in order; `sequence` counts from 0. */
  readonly toMessage: (event: A, sequence: number) => Message;
  /** For a stream that runs until its caller leaves: only the caller's own deadline applies. */
  readonly endless?: boolean;
}

export class Calls extends Context.Service<
  Calls,
  {
    /** Answers with one value; rejects with an error of the protocol. */
    readonly answer: <A>(incoming: Incoming, answer: Effect.Effect<A, ServiceError>) => Promise<A>;
    /** Answers with a stream. Its next() rejects with an error of the protocol at most once, as the last thing. */
    readonly stream: <A, Message>(incoming: Incoming, outgoing: Outgoing<A, Message>) => AsyncIterable<Message>;
    /** Ends all running calls with DRAINING or SHUT_DOWN, without waiting for them. */
    readonly cutAll: Effect.Effect<void>;
  }
>()("mlxd/calls/Calls") {
  static readonly layer: Layer.Layer<Calls, never, ServerConfig> = Layer.effect(
    Calls,
    Effect.gen(function* () {
      const config = yield* ServerConfig;
      // The fibers of all calls belong to this scope and are interrupted when it closes.
      const fibers = yield* FiberSet.make<unknown, unknown>();
      const run: Run = yield* FiberSet.runtime(fibers)();
      let isCutting = false;
      const beginCutting = Effect.sync(() => void (isCutting = true));
      yield* Effect.addFinalizer(() => beginCutting);
      const runner: Runner = { run, config, isCut: () => isCutting };
      return Calls.of({
        answer: (incoming, answer) => runAnswer(runner, incoming, answer),
        stream: (incoming, outgoing) => runStream(runner, incoming, outgoing),
        cutAll: Effect.andThen(
          beginCutting,
          Effect.sync(() => {
            for (const fiber of fibers) fiber.interruptUnsafe();
          }),
        ),
      });
    }),
  );
}

type Run = <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>;

interface Runner {
  readonly run: Run;
  readonly config: ServerSettings;
  readonly isCut: () => boolean;
}

const runAnswer = <A>(runner: Runner, incoming: Incoming, answer: Effect.Effect<A, ServiceError>): Promise<A> =>
  new Promise((resolve, reject) => {
    let traceId: string | undefined;
    const fail = (failure: CallFailure) => reject(incoming.toError(failure, traceId));
    supervise(runner, incoming, answer, {
      deadlineMs: deadlineOf(incoming, runner.config, false),
      onTraceId: (id) => (traceId = id),
      onExit: (exit) => {
        if (exit._tag === "Success") resolve(exit.value);
        else fail(failureFrom(exit.cause, { requestId: incoming.requestId }));
      },
      onLeft: () => fail({ type: "left" }),
      onLate: (reached) => fail({ type: "error", error: new DeadlineExceeded(reached) }),
    });
  });

const runStream = <A, Message>(
  runner: Runner,
  incoming: Incoming,
  { stream, toMessage, endless = false }: Outgoing<A, Message>,
): AsyncIterable<Message> => {
  const { stallMs } = runner.config;
  let sequence = 0;
  let stalled = false;

  let traceId: string | undefined;
  const toError = (failure: CallFailure) => incoming.toError(failure, traceId);
  const failed = (error: ServiceError, sent: number) => ({
    error: toError({ type: "error", error, lastSequence: sent === 0 ? undefined : sent - 1 }),
  });
  const onStall = () => {
    // The failure can be sent only after what was already written to the connection. If the reader does not take that
    // either, its stream is reset.
    if (stalled) return incoming.reset();
    stalled = true;
    running.interrupt();
    outbox.abandon(failed(new ClientStalled({ stalledMs: stallMs, ...running.reached() }), outbox.taken));
  };
  let endFlush = (): void => {};
  const outbox = new Outbox<Message>({ stallMs, onStall, onDelivered: () => endFlush() });
  const room = Effect.callback<void>((resume) => {
    const stopWaiting = outbox.whenRoom(() => resume(Effect.void));
    return Effect.sync(stopWaiting);
  });
  const pump = Stream.runForEachArray(stream, (events) =>
    Effect.suspend(() => (outbox.push(events.map((event) => toMessage(event, sequence++))) ? Effect.void : room)),
  );
  /** Records as a span how long the writer takes to send what is still in the outbox. */
  const traceFlush = Effect.map(Effect.all([spanWriter, Clock.Clock]), ([write, clock]) => {
    if (write === undefined) return;
    const from = clock.currentTimeMillisUnsafe();
    const messages = { "mlxd.messages": sequence, "mlxd.messages.waiting": sequence - outbox.taken };
    endFlush = () => write("flush", from, clock.currentTimeMillisUnsafe(), messages);
  });
  const running = supervise(runner, incoming, Effect.andThen(pump, traceFlush), {
    deadlineMs: deadlineOf(incoming, runner.config, endless),
    onTraceId: (id) => (traceId = id),
    onExit: (exit, reached) => {
      if (exit._tag === "Success") return outbox.end({});
      const lastSequence = sequence === 0 ? undefined : sequence - 1;
      const call = { requestId: incoming.requestId, lastSequence, endless, ...reached };
      outbox.end({ error: toError(failureFrom(exit.cause, call)) });
    },
    onLeft: () => {},
    // Events produced by then are still delivered.
    onLate: (reached) => outbox.end(failed(new DeadlineExceeded(reached), sequence)),
  });
  const leave = (): Promise<IteratorResult<Message, undefined>> => {
    running.interrupt();
    outbox.close();
    return Promise.resolve({ done: true, value: undefined });
  };
  incoming.onLeave(() => void leave());
  return { [Symbol.asyncIterator]: () => ({ next: () => outbox.next(), return: leave, throw: leave }) };
};

interface Supervision<A> {
  /** The time that is left for the call. */
  readonly deadlineMs: number;
  /** Receives the id of the call's trace, if it has one, before the work begins. */
  readonly onTraceId: (traceId: string) => void;
  readonly onExit: (exit: Exit.Exit<A, ServiceError>, reached: Reached) => void;
  readonly onLeft: () => void;
  readonly onLate: (reached: Reached) => void;
}

/** How far the call's generation has come, if it is one that has begun. */
interface Reached {
  readonly progress?: Progress;
}

interface Running {
  readonly interrupt: () => void;
  readonly reached: () => Reached;
}

/**
 * Runs `answer` in a fiber until it exits, its caller leaves, or its deadline passes, and calls back for whichever
 * comes first. It does not wait for an interrupted fiber, so that a call ends on time even if its fiber does not.
 */
const supervise = <A>(
  { run, isCut }: Runner,
  incoming: Incoming,
  answer: Effect.Effect<A, ServiceError>,
  { deadlineMs, onTraceId, onExit, onLeft, onLate }: Supervision<A>,
): Running => {
  let over = false;
  let progress: (() => Progress) | undefined;
  const end = (ending: () => void) => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    ending();
  };
  const reached = (): Reached => (progress === undefined ? {} : { progress: progress() });
  const timer =
    deadlineMs > longestTimerMs
      ? undefined
      : setTimeout(() => stop(() => onLate(reached())), Math.max(0, Math.ceil(deadlineMs)));
  const { requestId, caller } = incoming;
  const call: Call = { requestId, caller, fairnessId: "", isCut, follow: (ask) => (progress = ask) };
  const body = answer.pipe(
    Effect.tapCause((cause) => (Cause.hasDies(cause) ? logDefect(incoming, cause) : Effect.void)),
    Effect.provideService(CurrentCall, call),
  );
  const traced = inTrace(body, incoming, onTraceId);
  const fiber = run(deadlineMs <= 0 ? Effect.never : traced);
  const stop = (ending: () => void) => {
    end(ending);
    fiber.interruptUnsafe();
  };
  fiber.addObserver((exit) => end(() => onExit(exit, reached())));
  incoming.onLeave(() => stop(onLeft));
  return { interrupt: () => fiber.interruptUnsafe(), reached };
};

/** A longer delay overflows Node's timers, which then fire immediately. */
const longestTimerMs = 2 ** 31 - 1;

/** The remaining time of a call in milliseconds: the smaller of the caller's and the service's limit. */
export const deadlineOf = (
  { receivedAt, timeoutMs }: Pick<Incoming, "receivedAt" | "timeoutMs">,
  { defaultDeadlineMs, maxDeadlineMs }: Pick<ServerSettings, "defaultDeadlineMs" | "maxDeadlineMs">,
  endless: boolean,
  now = performance.now(),
): number => {
  const allowedMs = endless ? Infinity : maxDeadlineMs;
  const givenMs = timeoutMs ?? (endless ? Infinity : defaultDeadlineMs);
  return Math.min(givenMs, allowedMs) - (now - receivedAt);
};

const logDefect = ({ method, requestId }: Incoming, cause: Cause.Cause<ServiceError>) =>
  Effect.logError("a call failed because of a bug", cause).pipe(Effect.annotateLogs({ method, requestId }));
