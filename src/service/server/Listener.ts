/** The listening socket as a scoped resource: closing the scope drains it. */
import { Clock, Effect, type Scope } from "effect";

import type { ConnectionLimit } from "../config/connection-settings.ts";
import { watchFiles } from "../config/watch-files.ts";
import type { ServerSettings } from "../config/ServerConfig.ts";
import type { TlsSettings } from "../config/tls-settings.ts";
import { ActiveCalls } from "./active-calls.ts";
import type { Drain } from "./Drain.ts";
import { createHttpHandler, type HttpHandlerOptions } from "./http-handler.ts";
import { Connections } from "./connection-limits.ts";
import { type ListenFailed, listenFailed, socketWithTls } from "./ListenFailed.ts";
import { OnePort, type OnePortOptions, type PortTls } from "./one-port.ts";
import { codeOf } from "./probe-port.ts";
import { readTls, type TlsUnusable } from "./tls-files.ts";

/** How long to wait for peers to read the end of their calls after all calls are over. */
const flushMs = 1000;

export interface Address {
  /** Path of the Unix socket that it is; undefined: it is host and port. */
  readonly socket: string | undefined;
  readonly host: string;
  readonly port: number;
  readonly scheme: "http" | "https";
}

export interface ListenOptions extends Omit<OnePortOptions, "tls"> {
  readonly config: ServerSettings;
  readonly drain: Drain["Service"];
  readonly calls: HttpHandlerOptions["calls"];
  readonly queries: HttpHandlerOptions["queries"];
  readonly routes: HttpHandlerOptions["routes"];
  readonly admit: HttpHandlerOptions["admit"];
  readonly onRefusal: HttpHandlerOptions["onRefusal"];
  readonly onConnectionRefused: (limit: ConnectionLimit) => void;
  readonly trailers?: HttpHandlerOptions["trailers"];
  /** Refuses the calls that wait for their turn, and ends the streams that take no turns. */
  readonly refuseWaiting: Effect.Effect<void>;
  /** Ends the calls that outlast the drain. */
  readonly cutCalls: Effect.Effect<void>;
}

/**
 * Listens until the scope closes. Then health reports NOT_SERVING, and for `drainGraceMs` calls are still accepted,
 * because load balancers notice with a delay. After that, new and waiting calls are refused, HTTP/2 peers get a GOAWAY,
 * running calls may finish within `drainMs`, and the rest is cut off. The port stays open until the end, so that new
 * callers get DRAINING and not a refused connection.
 */
export const listen = (options: ListenOptions): Effect.Effect<Address, ListenFailed | TlsUnusable, Scope.Scope> =>
  Effect.gen(function* () {
    const { config, drain, calls, queries, routes, admit, refuseWaiting, onRefusal, trailers, cutCalls } = options;
    const logFailure = yield* makeLogFailure;
    const active = new ActiveCalls();
    const handler = createHttpHandler({
      calls,
      queries,
      routes,
      admit,
      onRefusal,
      trailers,
      onRoute: () => active.begin(),
      onRouteFailure: ({ method, path }, reason) =>
        logFailure(`${method} ${path}`, "a route failed because of a bug", reason),
      cors: { origins: config.corsOrigins, headers: config.corsHeaders },
      earlyHeadersMs: { web: config.earlyHeadersMs, grpc: config.grpcEarlyHeadersMs },
      isDraining: drain.isDraining,
      // Reflection streams stay open for as long as their caller likes, so a shutdown does not wait for them.
      onCall: ({ method }) => (method.methodKind === "bidi_streaming" ? () => {} : active.begin()),
      onFailure: ({ service, method }, reason) =>
        logFailure(`${service.typeName}/${method.name}`, "a response could not be written", reason),
    });
    const { socket, socketMode } = config;
    if (socket !== undefined && config.tls !== undefined) return yield* socketWithTls(config);
    const tls = config.tls === undefined ? undefined : yield* loadTls(config.tls);
    const onRefused = yield* makeLogRefusedConnection(config, options.onConnectionRefused);
    const port = new OnePort(handler, { ...options, connections: new Connections(config, onRefused), tls });
    const address = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: async () => {
          if (socket === undefined) return port.listen(config.port, config.host);
          await port.listenOnSocket(socket, socketMode);
          return { address: "", port: 0 };
        },
        catch: (error) => listenFailed(config, codeOf(error)),
      }),
      () =>
        Effect.gen(function* () {
          yield* drain.announce;
          if (config.drainGraceMs > 0) {
            yield* Effect.logInfo(
              "health says NOT_SERVING; calls are still taken while load balancers look elsewhere",
            ).pipe(Effect.annotateLogs({ graceMs: config.drainGraceMs }));
            yield* Effect.sleep(config.drainGraceMs);
          }
          yield* drain.begin;
          yield* refuseWaiting;
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
    if (config.tls !== undefined) yield* followTls(config.tls, port);
    return { socket, host: address.address, port: address.port, scheme: config.tls === undefined ? "http" : "https" };
  });

const loadTls = (settings: TlsSettings): Effect.Effect<PortTls, TlsUnusable> =>
  Effect.gen(function* () {
    const { expiresAt, ...context } = yield* Effect.fromResult(readTls(settings));
    const annotate = Effect.annotateLogs({ expires: new Date(expiresAt).toISOString() });
    const isOver = expiresAt <= (yield* Clock.currentTimeMillis);
    yield* annotate(isOver ? Effect.logWarning("the certificate has expired") : Effect.logInfo("speaking TLS"));
    const { clientAuthorityFile, requiresClientCertificate } = settings;
    const asked = requiresClientCertificate ? "required" : "optional";
    return { context, clientCertificate: clientAuthorityFile === undefined ? "none" : asked };
  });

/** Loads changed files. If they are broken or do not match each other, the previous ones stay in use. */
const followTls = (settings: TlsSettings, port: OnePort): Effect.Effect<void, never, Scope.Scope> => {
  const { certificateFile, keyFile, clientAuthorityFile } = settings;
  const files = [certificateFile, keyFile, ...(clientAuthorityFile === undefined ? [] : [clientAuthorityFile])];
  const reload = loadTls(settings).pipe(
    Effect.map(({ context }) => port.changeTls(context)),
    Effect.catch(({ message }) =>
      Effect.logError(`the TLS files were not read anew, and the ones before stay: ${message}`),
    ),
  );
  return watchFiles(files, reload);
};

/** At most one line per minute, so that a peer that opens connections cannot fill the log. */
const makeLogRefusedConnection = (limits: ServerSettings, count: (limit: ConnectionLimit) => void) =>
  Effect.gen(function* () {
    const runFork = Effect.runForkWith(yield* Effect.context<never>());
    const refused = { MLXD_MAX_CONNECTIONS: 0, MLXD_MAX_CONNECTIONS_PER_PEER: 0 };
    let toldAt = -Infinity;
    return (limit: ConnectionLimit, address: string | undefined): void => {
      count(limit);
      refused[limit] += 1;
      if (performance.now() - toldAt < 60_000) return;
      toldAt = performance.now();
      const { maxConnections, maxConnectionsPerPeer } = limits;
      runFork(
        Effect.annotateLogs(Effect.logWarning(`connections are refused, as ${limit} are open${advice[limit]}`), {
          maxConnections,
          maxConnectionsPerPeer,
          ...(address !== undefined && { address }),
          refusedSinceStart: refused[limit],
        }),
      );
    };
  });

const advice: Readonly<Record<ConnectionLimit, string>> = {
  MLXD_MAX_CONNECTIONS: "; raise it, and the number of files that the process may open",
  MLXD_MAX_CONNECTIONS_PER_PEER:
    " from one address; raise it up to MLXD_MAX_CONNECTIONS if that is the address of a proxy or a mesh, which all callers share",
};

const makeLogFailure = Effect.gen(function* () {
  const runFork = Effect.runForkWith(yield* Effect.context<never>());
  return (method: string, what: string, reason: unknown): void => {
    runFork(Effect.logError(what, reason).pipe(Effect.annotateLogs({ method })));
  };
});
