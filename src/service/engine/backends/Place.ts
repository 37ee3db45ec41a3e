/**
 * Where the requests of a model are sent: to a server that somebody else runs, or to one that this service starts for
 * the model.
 */
import { Effect, type Scope } from "effect";
import type { Dispatcher } from "undici";

import type { BackendSettings } from "../../config/read-backends.ts";
import type { ServedModel } from "../../domain/model.ts";
import type { BackendFailure, EngineFailure, EngineFault } from "../engine-failures.ts";
import type { EngineStatus } from "../EngineStatus.ts";
import type { StartStage } from "../Engines.ts";
import { startManagedServer } from "../managed/ManagedServer.ts";
import type { ManagedBackend, RunningServer } from "../managed/server-life.ts";
import { connectionsTo } from "./connections.ts";
import { type Host, type Hosts, ownHost } from "./Host.ts";

/** A server that takes requests. */
export interface Reached {
  readonly baseUrl: string;
  readonly dispatcher: Dispatcher;
  /** Whether a request failed because its server has ended, so that it may be repeated on the next one. */
  readonly isGone: (failure: BackendFailure) => Effect.Effect<boolean>;
}

export interface Place {
  /** Its permits and its circuit breaker. */
  readonly host: Host;
  /** Waits while the server is being restarted. */
  readonly reach: Effect.Effect<Reached, EngineFailure>;
  /** Succeeds when the server is given up. */
  readonly failure: Effect.Effect<EngineFault>;
  readonly status: () => Pick<EngineStatus, "residentBytes" | "restarts">;
}

/** A server that somebody else runs. Nothing is sent before the first task. The scope owns the connections. */
export const remotePlace = (backend: BackendSettings, hosts: Hosts): Effect.Effect<Place, never, Scope.Scope> =>
  Effect.map(Effect.all([hosts.join(backend), connectionsTo(backend)]), ([host, dispatcher]) => ({
    host,
    reach: Effect.succeed({ baseUrl: backend.baseUrl, dispatcher, isGone: () => Effect.succeed(false) }),
    failure: Effect.never,
    // Memory on the server is not ours to count.
    status: () => ({ residentBytes: 0, restarts: 0 }),
  }));

/**
 * A server that this service starts for one model, on a free port. Completes when the server has answered. The scope
 * owns it.
 */
export const managedPlace = (
  model: ServedModel,
  backend: ManagedBackend,
  onStage: (stage: StartStage) => Effect.Effect<void>,
): Effect.Effect<Place, EngineFault, Scope.Scope> =>
  Effect.map(startManagedServer(model, backend, connectionsTo(backend), onStage), (server) => ({
    host: ownHost(backend.permits, server.health, server.delivered),
    reach: Effect.map(server.running, (running) => ({ ...running, isGone: isGone(running) })),
    failure: server.failure,
    status: () => ({ residentBytes: server.residentBytes(), restarts: server.restarts() }),
  }));

/**
 * A connection ends before its process does, and some servers still answer with a status for a while after their
 * generating thread has died. Therefore the server is probed, and the failure is held back until the result is known.
 */
const isGone =
  ({ over, doubt }: RunningServer) =>
  (failure: BackendFailure): Effect.Effect<boolean> =>
    isOfTheRequest(failure)
      ? Effect.succeed(false)
      : Effect.andThen(doubt, Effect.raceFirst(Effect.as(over, true), Effect.as(Effect.sleep(tellingMs), false)));

/** Failures of the request itself: a server that reports them works. */
const isOfTheRequest = ({ _tag }: BackendFailure): boolean =>
  _tag === "BackendContextExceeded" ||
  _tag === "BackendRefused" ||
  _tag === "BackendQuota" ||
  _tag === "BackendCredentials" ||
  _tag === "UnsupportedParameter" ||
  _tag === "UnsupportedTask";

const tellingMs = 1_000;
