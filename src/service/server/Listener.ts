/** The listening socket as a scoped resource: closing the scope drains it. */
import { Effect, type Scope } from "effect";

import type { ServerSettings } from "../config/ServerConfig.ts";
import { ActiveCalls } from "./active-calls.ts";
import type { Drain } from "./Drain.ts";
import { createHttpHandler, type HttpHandlerOptions } from "./http-handler.ts";
import { ListenFailed } from "./ListenFailed.ts";
import { OnePort, type OnePortOptions } from "./one-port.ts";
import { codeOf } from "./probe-port.ts";

/** A call's end is on its way when the call is over; a peer that takes longer to read it than this is not waited for. */
const flushMs = 1000;

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface ListenOptions extends OnePortOptions {
  readonly config: ServerSettings;
  readonly drain: Drain["Service"];
  readonly calls: HttpHandlerOptions["calls"];
  readonly queries: HttpHandlerOptions["queries"];
  readonly routes: HttpHandlerOptions["routes"];
  readonly admit: HttpHandlerOptions["admit"];
  /** Ends the calls that outlast the drain. */
  readonly cutCalls: Effect.Effect<void>;
}

/**
 * Listens until the scope closes. Then: health says NOT_SERVING and new calls are refused, HTTP/2 peers are told to
 * go away, what runs may finish within `drainMs`, and what is left is cut. The port stays open until the end, so that
 * who asks hears DRAINING and not a refused connection.
 */
export const listen = (options: ListenOptions): Effect.Effect<Address, ListenFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const { config, drain, calls, queries, routes, admit, cutCalls } = options;
    const logFailure = yield* makeLogFailure;
    const active = new ActiveCalls();
    const handler = createHttpHandler({
      calls,
      queries,
      routes,
      admit,
      onRoute: () => active.begin(),
      onRouteFailure: ({ method, path }, reason) =>
        logFailure(`${method} ${path}`, "a route failed because of a bug", reason),
      cors: { origins: config.corsOrigins, headers: config.corsHeaders },
      earlyHeadersMs: { web: config.earlyHeadersMs, grpc: config.grpcEarlyHeadersMs },
      isDraining: drain.isDraining,
      // Reflection streams stay open for as long as their caller likes.
      onCall: ({ method }) => (method.methodKind === "bidi_streaming" ? () => {} : active.begin()),
      onFailure: ({ service, method }, reason) =>
        logFailure(`${service.typeName}/${method.name}`, "a response could not be written", reason),
    });
    const port = new OnePort(handler, options);
    const address = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: () => port.listen(config.port, config.host),
        catch: (error) => new ListenFailed({ host: config.host, port: config.port, code: codeOf(error) }),
      }),
      () =>
        Effect.gen(function* () {
          yield* drain.begin;
          port.goAway();
          yield* Effect.promise(() => active.idle()).pipe(Effect.timeoutOption(config.drainMs));
          const calls = active.count;
          if (calls > 0) {
            yield* Effect.logWarning("calls that did not finish in time are cut").pipe(Effect.annotateLogs({ calls }));
            yield* cutCalls;
          }
          yield* Effect.promise(() => port.close(flushMs));
        }),
    );
    return { host: address.address, port: address.port };
  });

const makeLogFailure = Effect.gen(function* () {
  const runFork = Effect.runForkWith(yield* Effect.context<never>());
  return (method: string, what: string, reason: unknown): void => {
    runFork(Effect.logError(what, reason).pipe(Effect.annotateLogs({ method })));
  };
});
