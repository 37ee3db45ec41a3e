/** Where a model's requests go: to a server that others start, or to one that this service starts for the model. */
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
  /** A request has failed there. Whether its server is gone, so that the next one may be asked. */
  readonly isGone: (failure: BackendFailure) => Effect.Effect<boolean>;
}

export interface Place {
  /** Its permits, and whether it is asked at all. */
  readonly host: Host;
  /** May wait until its server is there again. */
  readonly reach: Effect.Effect<Reached, EngineFailure>;
  /** Succeeds when its server is given up. */
  readonly failure: Effect.Effect<EngineFault>;
  readonly status: () => Pick<EngineStatus, "residentBytes" | "restarts">;
}

/** Nothing is sent before the first task. The scope owns its connections. */
export const remotePlace = (backend: BackendSettings, hosts: Hosts): Effect.Effect<Place, never, Scope.Scope> =>
  Effect.map(Effect.all([hosts.join(backend), connectionsTo(backend)]), ([host, dispatcher]) => ({
    host,
    reach: Effect.succeed({ baseUrl: backend.baseUrl, dispatcher, isGone: () => Effect.succeed(false) }),
    failure: Effect.never,
    // What its models take is the server's.
    status: () => ({ residentBytes: 0, restarts: 0 }),
  }));

/** Completes when its server has answered. The scope owns it: it is this model's alone, on another port each time. */
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
 * The connection ends before the process does, and some servers answer with a status for a time after their generating thread has
 * died. So it is asked whether it still answers, and the failure is held back for as long as that takes to tell.
 */
const isGone =
  ({ over, doubt }: RunningServer) =>
  (failure: BackendFailure): Effect.Effect<boolean> =>
    isOfTheRequest(failure)
      ? Effect.succeed(false)
      : Effect.andThen(doubt, Effect.raceFirst(Effect.as(over, true), Effect.as(Effect.sleep(tellingMs), false)));

/** A server that says so works. */
const isOfTheRequest = ({ _tag }: BackendFailure): boolean =>
  _tag === "BackendContextExceeded" ||
  _tag === "BackendRefused" ||
  _tag === "BackendQuota" ||
  _tag === "BackendCredentials";

const tellingMs = 1_000;
