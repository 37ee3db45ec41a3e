/** Connects Connect's handlers to Effect: adapts calls, and translates failures to Connect's errors. */
import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { Context, Effect, Layer, Stream } from "effect";

import { Access } from "../access/Access.ts";
import { Calls, type Incoming } from "../calls/Calls.ts";
import { anonymous } from "../domain/Caller.ts";
import { parseTraceParent } from "../calls/trace-context.ts";
import type { ServiceError } from "../domain/errors.ts";
import { callDeadline, callerOf, requestId, resetStream, targetOf } from "./call-values.ts";
import { truncateUtf8, withoutPaths } from "./error-details.ts";
import { connectErrorFrom, wireErrorFromFailure, withTraceId } from "./error-to-wire.ts";
import { RequestReader } from "./RequestReader.ts";

export interface Outgoing<Request, A, Answer> {
  readonly stream: (request: Request) => Stream.Stream<A, ServiceError>;
  /** Called once for each event, in order; `sequence` counts from 0. */
  readonly toWire: (event: A, sequence: number) => Answer;
  /** For a stream that runs until its caller leaves: only the caller's own deadline applies. */
  readonly endless?: boolean;
}

export class Bridge extends Context.Service<
  Bridge,
  {
    /** Answers a valid request with one message; an invalid request is refused. */
    readonly unary: <Request extends Message, A>(
      received: Request,
      context: HandlerContext,
      answer: (request: Request) => Effect.Effect<A, ServiceError>,
    ) => Promise<A>;
    /** Answers a valid request with a stream of messages. */
    readonly stream: <Request extends Message, A, Answer>(
      received: Request,
      context: HandlerContext,
      outgoing: Outgoing<Request, A, Answer>,
    ) => AsyncIterable<Answer>;
  }
>()("mlxd/rpc/Bridge") {
  static readonly layer: Layer.Layer<Bridge, never, Access | Calls | RequestReader> = Layer.effect(
    Bridge,
    Effect.gen(function* () {
      const calls = yield* Calls;
      const { allowanceOf } = yield* Access;
      /** What its caller has left once this call has taken its part. */
      const tellLimits = ({ responseHeader, values }: HandlerContext): void => {
        const { headers } = allowanceOf(values.get(callerOf) ?? anonymous(""));
        for (const [name, value] of Object.entries(headers)) responseHeader.set(name, value);
      };
      /** A refusal for a limit that is known only now is held back like those of the request gate. */
      const holdBack = ({ values }: HandlerContext, error: ServiceError): Effect.Effect<void> => {
        if (error._tag !== "QuotaExceeded") return Effect.void;
        const { receivedAt = 0, timeoutMs = Infinity } = values.get(callDeadline) ?? {};
        const patienceMs = receivedAt + timeoutMs - performance.now();
        const allowance = allowanceOf(values.get(callerOf) ?? anonymous(""));
        return Effect.promise((signal) => allowance.holdRefusal(signal, patienceMs));
      };
      const reader = yield* RequestReader;
      const read: typeof reader.read = (received, context) =>
        Effect.tap(reader.read(received, context), (request) =>
          Effect.sync(() => void context.values.set(targetOf, targetIn(request))),
        );
      return Bridge.of({
        unary: (received, context, answer) =>
          calls
            .answer(
              incomingFrom(context),
              Effect.flatMap(read(received, context), answer).pipe(
                Effect.tapError((error) => holdBack(context, error)),
              ),
            )
            .finally(() => tellLimits(context)),
        stream: (received, context, { stream, toWire, ...options }) =>
          calls.stream(incomingFrom(context), {
            ...options,
            stream: Stream.unwrap(Effect.map(read(received, context), stream)).pipe(
              Stream.tapError((error) => holdBack(context, error)),
            ),
            toMessage: (event, sequence) => {
              if (sequence === 0) tellLimits(context);
              return toWire(event, sequence);
            },
          }),
      });
    }),
  );
}

/** The model that the message names, or its models; a name is the caller's own words, so of a long one the beginning. */
const targetIn = (request: Message): string | undefined => {
  const { model, models, key, name, entry } = request as Readonly<Record<string, unknown>>;
  const ofEntry = typeof entry === "object" && entry !== null && "value" in entry ? (name ?? entry.value) : undefined;
  const one = [model, key, ofEntry].find((each) => typeof each === "string");
  const named = one !== undefined ? [one] : Array.isArray(models) ? models : [];
  const text = named.map(String).join(", ");
  return text === "" ? undefined : truncateUtf8(withoutPaths(text.replaceAll(/\p{C}/gu, "?")), 256);
};

const incomingFrom = (context: HandlerContext): Incoming => {
  const { signal, values, service, method } = context;
  const { receivedAt, timeoutMs } = values.get(callDeadline) ?? {
    receivedAt: performance.now(),
    timeoutMs: context.timeoutMs(),
  };
  return {
    method: `${service.typeName}/${method.name}`,
    requestId: values.get(requestId) ?? crypto.randomUUID(),
    caller: values.get(callerOf) ?? anonymous(""),
    receivedAt,
    timeoutMs,
    onLeave: (listener) => onLeave(signal, listener),
    // Health checks and load reports are frequent and do no work, so they are not traced.
    ...(service.typeName.startsWith("mlxd.") && {
      trace: { parent: parseTraceParent(context.requestHeader.get("traceparent")) },
    }),
    toError: (failure, traceId) => connectErrorFrom(withTraceId(wireErrorFromFailure(failure), traceId)),
    reset: values.get(resetStream),
  };
};

/**
 * A call's signal fires exactly once, at the latest when the call is complete, so the listener need not be removed.
 * Connect's own deadline timer can only be the cause if there is no listener in front of it that takes the deadline out
 * of the headers; the call's own timer is then about to fire as well.
 */
const onLeave = (signal: AbortSignal, listener: () => void): void => {
  const isDeadline = () => signal.reason instanceof ConnectError && signal.reason.code === Code.DeadlineExceeded;
  const heard = () => {
    if (!isDeadline()) listener();
  };
  if (signal.aborted) heard();
  else signal.addEventListener("abort", heard, { once: true });
};
