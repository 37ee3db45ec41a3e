/** A host that has backends, shared by all models on it: its permits and its circuit breaker. */
import { Clock, Effect, Exit, Queue, Result, Scope, type Stream, SubscriptionRef } from "effect";

import type { BackendSettings } from "../../config/read-backends.ts";
import { elapsedMsUnsafe } from "../../domain/elapsed.ts";
import { BackendUnavailable } from "../../domain/errors.ts";
import type { QueuePlace } from "../../domain/turn.ts";
import type { EngineFailure } from "../engine-failures.ts";
import type { EngineHealth } from "../EngineStatus.ts";
import { Circuit, type Verdict } from "./Circuit.ts";
import { HostGate } from "./HostGate.ts";
import { probe } from "./probe.ts";

interface HostRequest {
  readonly model: string;
  readonly backend: string;
  readonly scheduling: QueuePlace;
}

export interface Host {
  readonly health: Stream.Stream<EngineHealth>;
  /**
   * Runs one exchange with the host as soon as a permit is free. Fails if the host's circuit is open.
   *
   * @param exchange receives a function to call when the first output has arrived
   */
  readonly run: (
    request: HostRequest,
    exchange: (onOutput: () => void) => Effect.Effect<void, EngineFailure>,
  ) => Effect.Effect<void, EngineFailure>;
}

interface KnownHost {
  readonly host: OneHost;
  /** The backend of each loaded model on it. */
  readonly users: BackendSettings[];
  readonly scope: Scope.Closeable;
}

/** The hosts of all loaded models. A host's state is discarded together with its last model. */
export class Hosts {
  private readonly known = new Map<string, KnownHost>();

  /** The host of a backend. The scope is that of one model. */
  join(backend: BackendSettings): Effect.Effect<Host, never, Scope.Scope> {
    const { host: name } = new URL(backend.baseUrl);
    return Effect.acquireRelease(
      Effect.gen({ self: this }, function* () {
        // Made before the lookup, so that nothing can come between lookup and insertion: two models must get the same
        // host.
        const host = yield* OneHost.make(backend);
        const known = this.known.get(name) ?? { host, users: [], scope: Scope.makeUnsafe() };
        const isNew = known.users.length === 0;
        known.users.push(backend);
        this.known.set(name, known);
        known.host.heed(known.users);
        if (isNew) yield* Effect.forkIn(host.follow, known.scope);
        yield* tellDifference(name, known.users);
        return known.host;
      }),
      () =>
        Effect.suspend(() => {
          const known = this.known.get(name);
          if (known === undefined) return Effect.void;
          known.users.splice(known.users.indexOf(backend), 1);
          if (known.users.length > 0) return Effect.sync(() => known.host.heed(known.users));
          this.known.delete(name);
          return Scope.close(known.scope, Exit.void);
        }),
    );
  }
}

/** One of them has fewer requests at once than its operator may expect. */
const tellDifference = (host: string, users: ReadonlyArray<BackendSettings>): Effect.Effect<void> => {
  const added = users.at(-1);
  const other = users.find(({ permits }) => permits !== added?.permits);
  if (added === undefined || other === undefined) return Effect.void;
  const permits = `${added.name}: ${added.permits}, ${other.name}: ${other.permits}`;
  return Effect.annotateLogs(
    Effect.logWarning("backends on one host permit different numbers of requests: the smallest applies to all of them"),
    { host, permits },
  );
};

/**
 * The host of a server that this service started: it needs no circuit breaker, because it is restarted when it fails.
 */
export const ownHost = (permits: number, health: Host["health"], onOutput: () => void): Host => {
  const gate = new HostGate(permits);
  return {
    health,
    run: ({ scheduling }, exchange) => Effect.scoped(Effect.andThen(gate.permit(scheduling), exchange(onOutput))),
  };
};

class OneHost implements Host {
  readonly gate: HostGate;
  readonly health: Stream.Stream<EngineHealth>;
  private readonly circuit: Circuit;
  private readonly healthRef: SubscriptionRef.SubscriptionRef<EngineHealth>;
  private readonly changes: Queue.Queue<void>;
  private running = 0;
  private probeIntervalMs: number | undefined;
  /** The backend whose API is probed: the first one on this host. */
  private readonly backend: BackendSettings;

  private constructor(
    backend: BackendSettings,
    clock: Clock.Clock,
    healthRef: SubscriptionRef.SubscriptionRef<EngineHealth>,
    changes: Queue.Queue<void>,
  ) {
    this.backend = backend;
    this.gate = new HostGate(backend.permits);
    this.changes = changes;
    this.circuit = new Circuit(
      () => elapsedMsUnsafe(clock),
      () => void Queue.offerUnsafe(changes, undefined),
    );
    this.healthRef = healthRef;
    this.health = SubscriptionRef.changes(healthRef);
  }

  static make(backend: BackendSettings): Effect.Effect<OneHost> {
    return Effect.gen(function* () {
      const healthRef = yield* SubscriptionRef.make<EngineHealth>("serving");
      return new OneHost(backend, yield* Clock.Clock, healthRef, yield* Queue.sliding<void>(1));
    });
  }

  /** Applies the smallest limit and the shortest interval of the backends of all models on this host. */
  heed(backends: ReadonlyArray<BackendSettings>): void {
    this.gate.limit(Math.min(...backends.map(({ permits }) => permits)));
    const shortest = Math.min(...backends.map(({ probeIntervalMs }) => probeIntervalMs ?? Infinity));
    const intervalMs = shortest === Infinity ? undefined : shortest;
    if (intervalMs === this.probeIntervalMs) return;
    this.probeIntervalMs = intervalMs;
    Queue.offerUnsafe(this.changes, undefined);
  }

  /** Reports the health, and probes the host while no requests show whether it answers. */
  get follow(): Effect.Effect<never> {
    return Effect.forever(
      Effect.suspend(() =>
        Effect.andThen(
          this.tell(this.circuit.isServing ? "serving" : "unreachable"),
          Effect.raceFirst(Queue.take(this.changes), this.probing),
        ),
      ),
    );
  }

  run(
    { scheduling, ...about }: HostRequest,
    exchange: (onOutput: () => void) => Effect.Effect<void, EngineFailure>,
  ): Effect.Effect<void, EngineFailure> {
    const refused = (): BackendUnavailable | undefined => {
      const { refusalMs: retryAfterMs } = this.circuit;
      return retryAfterMs === undefined
        ? undefined
        : new BackendUnavailable({ ...about, cause: "circuit_open", retryAfterMs });
    };
    const attempt = Effect.acquireUseRelease(
      Effect.suspend(() => {
        const error = refused();
        if (error !== undefined) return Effect.fail(error);
        this.running += 1;
        return Effect.succeed(this.circuit.begin());
      }),
      ({ delivered }) => exchange(delivered),
      ({ end }, exit) =>
        Effect.sync(() => {
          this.running -= 1;
          end(verdictOf(exit));
        }),
    );
    return Effect.suspend(() => {
      const error = refused();
      if (error !== undefined) return Effect.fail(error);
      // Checked before and after waiting for a permit, so that waiting requests are not sent to a host that has failed
      // meanwhile.
      return Effect.scoped(Effect.andThen(this.gate.permit(scheduling), attempt));
    });
  }

  private tell(health: EngineHealth): Effect.Effect<void> {
    return Effect.flatMap(SubscriptionRef.get(this.healthRef), (before) => {
      if (before === health) return Effect.void;
      const { name: backend, baseUrl } = this.backend;
      const log =
        health === "serving"
          ? Effect.logInfo("backend answers again")
          : Effect.logWarning("backend gets no tasks for now: it has failed repeatedly");
      return Effect.andThen(
        Effect.annotateLogs(log, { backend, host: new URL(baseUrl).host }),
        SubscriptionRef.set(this.healthRef, health),
      );
    });
  }

  /**
   * Probes once: after the pause if the circuit is open, otherwise after the interval that the operator has set, if
   * any.
   */
  private get probing(): Effect.Effect<void> {
    const { circuit, backend } = this;
    // Requests will show whether the host answers, and that is a change.
    if (circuit.isOpen && (circuit.isServing || circuit.isTried)) return Effect.never;
    const waitMs = circuit.isOpen ? (circuit.refusalMs ?? 0) : this.probeIntervalMs;
    if (waitMs === undefined) return Effect.never;
    return Effect.andThen(
      Effect.sleep(waitMs),
      Effect.suspend(() => {
        // A request is trying the host by now, or the timer fired early.
        if (circuit.refusalMs !== undefined) return Effect.void;
        const wasOpen = circuit.isOpen;
        // A server that is generating may not answer anything else, and its tasks show whether it answers.
        if (!wasOpen && this.running > 0) return Effect.void;
        return Effect.ignore(
          Effect.acquireUseRelease(
            Effect.sync(() => circuit.begin()),
            () => probe(backend),
            ({ end }, exit) =>
              Effect.sync(() => {
                if (Exit.isFailure(exit)) end(Exit.hasInterrupts(exit) ? "unknown" : "unavailable");
                // A server that can be reached may still not answer tasks.
                else if (wasOpen) circuit.reached();
              }),
          ),
        );
      }),
    );
  }
}

/** An unreadable answer and a refusal are answers, too. */
const verdictOf = (exit: Exit.Exit<void, EngineFailure>): Verdict => {
  const error = Exit.findError(exit);
  if (Result.isFailure(error)) return Exit.isSuccess(exit) ? "answered" : "unknown";
  const { _tag } = error.success;
  return _tag === "BackendUnavailable" || _tag === "EngineLost" ? "unavailable" : "answered";
};
