/**
 * Between Connect's handlers and Effect: reads and checks a call's request, runs what a handler gives back, ends it when its caller leaves, its deadline
 * passes or its reader stalls, and turns what it ended with into a status.
 */
import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { Cause, Context, Effect, type Exit, type Fiber, FiberSet, Layer, Stream } from "effect";

import { ServerConfig, type ServerSettings } from "../config/ServerConfig.ts";
import { ClientStalled, DeadlineExceeded, type Progress, type ServiceError } from "../domain/errors.ts";
import { JobOwner } from "../sandbox/JobOwner.ts";
import { callDeadline, requestId, resetStream } from "./call-values.ts";
import { cancelled, connectErrorFrom, wireErrorFrom, wireErrorFromCause } from "./error-to-wire.ts";
import { Outbox } from "./Outbox.ts";
import { RequestReader } from "./RequestReader.ts";

/** What a handler is told about its call. */
export interface Call {
  /** What is left of the time that the caller and the service give it. */
  readonly deadlineMs: number;
  /** Names the call in the log. */
  readonly requestId: string;
}

export interface Outgoing<Request, A, Answer> {
  readonly stream: (request: Request, call: Call) => Stream.Stream<A, ServiceError>;
  /** Called once for each event, in order; `sequence` counts from 0. */
  readonly toWire: (event: A, sequence: number) => Answer;
  /** How far a generation has come, for the status of a call that the bridge has to end. */
  readonly progress?: () => Progress | undefined;
  /** Runs until its caller leaves: of the deadlines only the caller's own holds. */
  readonly endless?: boolean;
}

/**
 * Generations keep their deadline themselves, as they know more to tell of it; the bridge ends what has not ended by
 * itself this much later.
 */
const deadlineGraceMs = 250;
/** A longer one overflows Node's timers, which then fire at once. */
const longestTimerMs = 2 ** 31 - 1;

export class Bridge extends Context.Service<
  Bridge,
  {
    /** Answers with one message a request that keeps the rules of the proto files; any other one is refused. */
    readonly unary: <Request extends Message, A>(
      received: Request,
      context: HandlerContext,
      answer: (request: Request, call: Call) => Effect.Effect<A, ServiceError>,
    ) => Promise<A>;
    /** Answers it with a stream of messages. */
    readonly stream: <Request extends Message, A, Answer>(
      received: Request,
      context: HandlerContext,
      outgoing: Outgoing<Request, A, Answer>,
    ) => AsyncIterable<Answer>;
    /** Ends all calls that run, with DRAINING. Does not wait for them. */
    readonly interruptAll: Effect.Effect<void>;
  }
>()("mlxd/rpc/Bridge") {
  static readonly layer = Layer.effect(
    Bridge,
    Effect.gen(function* () {
      const config = yield* ServerConfig;
      const { read } = yield* RequestReader;
      // The fibers of all calls belong to this scope: those that still run when it closes are interrupted.
      const fibers = yield* FiberSet.make<unknown, unknown>();
      const runIn: Run = yield* FiberSet.runtime(fibers)();
      let calls = 0;
      const run: Run = (effect) => runIn(Effect.provideService(effect, JobOwner, `call ${(calls += 1)}`));
      return Bridge.of({
        unary: (received, context, answer) =>
          runUnary(run, config, context, (call) =>
            Effect.flatMap(read(received, context), (request) => answer(request, call)),
          ),
        stream: (received, context, { stream, ...outgoing }) =>
          runStream(run, config, context, {
            ...outgoing,
            stream: (call) => Stream.unwrap(Effect.map(read(received, context), (request) => stream(request, call))),
          }),
        interruptAll: Effect.sync(() => {
          for (const fiber of fibers) fiber.interruptUnsafe();
        }),
      });
    }),
  );
}

interface RunningStream<A, Answer> extends Omit<Outgoing<never, A, Answer>, "stream"> {
  readonly stream: (call: Call) => Stream.Stream<A, ServiceError>;
}

type Run = <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>;

const runUnary = <A>(
  run: Run,
  config: ServerSettings,
  context: HandlerContext,
  answer: (call: Call) => Effect.Effect<A, ServiceError>,
): Promise<A> =>
  new Promise((resolve, reject) => {
    const call = callOf(context, config, false);
    supervise(run, context, call, answer, {
      exit: (exit) => {
        if (exit._tag === "Success") resolve(exit.value);
        else reject(connectErrorFrom(wireErrorFromCause(exit.cause, { requestId: call.requestId })));
      },
      left: () => reject(connectErrorFrom(cancelled)),
      late: () => reject(connectErrorFrom(wireErrorFrom(new DeadlineExceeded({})))),
    });
  });

const runStream = <A, Answer>(
  run: Run,
  config: ServerSettings,
  context: HandlerContext,
  { stream, toWire, progress, endless = false }: RunningStream<A, Answer>,
): AsyncIterable<Answer> => {
  const call = callOf(context, config, endless);
  let sequence = 0;
  let stalled = false;

  const fail = (error: ServiceError, lastSequence: number): { error: ConnectError } => ({
    error: connectErrorFrom(wireErrorFrom(error, lastSequence < 0 ? undefined : lastSequence)),
  });
  const progressNow = (): { progress?: Progress } => {
    const now = progress?.();
    return now === undefined ? {} : { progress: now };
  };
  const onStall = () => {
    // The status waits behind what was written already. A reader that does not even come for that is cut off.
    if (stalled) return context.values.get(resetStream)();
    stalled = true;
    interrupt();
    outbox.abandon(fail(new ClientStalled({ stalledMs: config.stallMs, ...progressNow() }), outbox.taken - 1));
  };
  const outbox = new Outbox<Answer>({ stallMs: config.stallMs, onStall });
  const room = Effect.callback<void>((resume) => {
    const stopWaiting = outbox.whenRoom(() => resume(Effect.void));
    return Effect.sync(stopWaiting);
  });
  const pump = (call: Call) =>
    Stream.runForEachArray(stream(call), (events) =>
      Effect.suspend(() => (outbox.push(events.map((event) => toWire(event, sequence++))) ? Effect.void : room)),
    );
  const interrupt = supervise(run, context, call, pump, {
    exit: (exit) => {
      if (exit._tag === "Success") return outbox.end({});
      const lastSequence = sequence === 0 ? undefined : sequence - 1;
      const failed = { requestId: call.requestId, lastSequence, endless, ...progressNow() };
      const error = wireErrorFromCause(exit.cause, failed);
      outbox.end({ error: connectErrorFrom(error) });
    },
    left: () => {},
    late: () => outbox.abandon(fail(new DeadlineExceeded(progressNow()), outbox.taken - 1)),
  });
  const leave = (): Promise<IteratorResult<Answer, undefined>> => {
    interrupt();
    outbox.close();
    return Promise.resolve({ done: true, value: undefined });
  };
  onLeave(context.signal, () => void leave());
  return { [Symbol.asyncIterator]: () => ({ next: () => outbox.next(), return: leave, throw: leave }) };
};

interface Endings<A> {
  readonly exit: (exit: Exit.Exit<A, ServiceError>) => void;
  readonly left: () => void;
  readonly late: () => void;
}

/**
 * Runs `answer` in a fiber until it exits, its caller leaves, or its deadline is over, and calls the ending that came
 * first. It does not wait for an interrupted fiber: a call ends on time even if its handler does not. Returns how to
 * interrupt it.
 */
const supervise = <A>(
  run: Run,
  context: HandlerContext,
  call: Call,
  answer: (call: Call) => Effect.Effect<A, ServiceError>,
  endings: Endings<A>,
): (() => void) => {
  let over = false;
  const end = (ending: () => void) => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    ending();
  };
  const waitMs = call.deadlineMs <= 0 ? 0 : call.deadlineMs + deadlineGraceMs;
  const timer = waitMs > longestTimerMs ? undefined : setTimeout(() => stop(endings.late), waitMs);
  const body = Effect.suspend(() => answer(call)).pipe(
    Effect.tapCause((cause) => (Cause.hasDies(cause) ? logDefect(context, call, cause) : Effect.void)),
  );
  const fiber = run(call.deadlineMs <= 0 ? Effect.never : body);
  const stop = (ending: () => void) => {
    end(ending);
    fiber.interruptUnsafe();
  };
  fiber.addObserver((exit) => end(() => endings.exit(exit)));
  onLeave(context.signal, () => stop(endings.left));
  return () => fiber.interruptUnsafe();
};

/**
 * The signal of a call fires exactly once, at the latest when the call is complete, so the listener needs no removal.
 * That it is Connect's own timer happens only without our listener in front; ours is about to fire then.
 */
const onLeave = (signal: AbortSignal, listener: () => void): void => {
  const isDeadline = () => signal.reason instanceof ConnectError && signal.reason.code === Code.DeadlineExceeded;
  const heard = () => {
    if (!isDeadline()) listener();
  };
  if (signal.aborted) heard();
  else signal.addEventListener("abort", heard, { once: true });
};

const callOf = (context: HandlerContext, config: ServerSettings, endless: boolean): Call => {
  const { receivedAt, timeoutMs } = context.values.get(callDeadline) ?? {
    receivedAt: performance.now(),
    timeoutMs: context.timeoutMs(),
  };
  const allowedMs = endless ? Infinity : config.maxDeadlineMs;
  const givenMs = timeoutMs ?? (endless ? Infinity : config.defaultDeadlineMs);
  return {
    deadlineMs: Math.min(givenMs, allowedMs) - (performance.now() - receivedAt),
    requestId: context.values.get(requestId) ?? crypto.randomUUID(),
  };
};

const logDefect = (context: HandlerContext, call: Call, cause: Cause.Cause<ServiceError>) =>
  Effect.logError("a call failed because of a bug", cause).pipe(
    Effect.annotateLogs({ method: `${context.service.typeName}/${context.method.name}`, requestId: call.requestId }),
  );
