/** One host that backends are on, shared by all models there: its permits, and whether it is asked at all. */
import { Clock, Effect, Exit, Queue, Result, Scope, type Stream, SubscriptionRef } from "effect";

import type { BackendSettings } from "../../config/read-backends.ts";
import { elapsedMsUnsafe } from "../../domain/elapsed.ts";
import { BackendUnavailable } from "../../domain/errors.ts";
import type { SequenceScheduling } from "../../worker/protocol/submit-message.ts";
import type { EngineFailure } from "../engine-failures.ts";
import type { EngineHealth } from "../EngineStatus.ts";
import { Circuit, type Verdict } from "./Circuit.ts";
import { HostGate } from "./HostGate.ts";
import { probe } from "./probe.ts";

interface HostRequest {
  readonly model: string;
  readonly backend: string;
  readonly scheduling: SequenceScheduling;
}

export interface Host {
  readonly health: Stream.Stream<EngineHealth>;
  /**
   * Runs one exchange with the host, when a permit is free and unless its circuit is open.
   *
   * @param exchange told what to call when the first output has come
   */
  readonly run: (
    request: HostRequest,
    exchange: (onOutput: () => void) => Effect.Effect<void, EngineFailure>,
  ) => Effect.Effect<void, EngineFailure>;
}

/** The hosts that models are loaded on. What is known of one is forgotten with the last of its models. */
export class Hosts {
  private readonly known = new Map<string, { host: OneHost; users: number; readonly scope: Scope.Closeable }>();

  /** The scope is one model's. */
  join(backend: BackendSettings): Effect.Effect<Host, never, Scope.Scope> {
    const { host: name } = new URL(backend.baseUrl);
    return Effect.acquireRelease(
      Effect.gen({ self: this }, function* () {
        // Made before it is looked for: two models that come at once must find the same one.
        const host = yield* OneHost.make(backend);
        const known = this.known.get(name) ?? { host, users: 0, scope: Scope.makeUnsafe() };
        const isNew = known.users === 0;
        known.users += 1;
        this.known.set(name, known);
        known.host.add(backend);
        if (isNew) yield* Effect.forkIn(host.follow, known.scope);
        return known.host;
      }),
      () =>
        Effect.suspend(() => {
          const known = this.known.get(name);
          if (known === undefined) return Effect.void;
          known.users -= 1;
          if (known.users > 0) return Effect.void;
          this.known.delete(name);
          return Scope.close(known.scope, Exit.void);
        }),
    );
  }
}

/** A server that this service looks after itself: it needs no circuit, as it is started anew when it fails. */
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
  private readonly standing: SubscriptionRef.SubscriptionRef<EngineHealth>;
  private readonly changes: Queue.Queue<void>;
  private running = 0;
  /** The shortest that a backend there asks for. */
  private probeIntervalMs: number | undefined;
  /** Whose API is probed: that of the backend that came first. */
  private readonly backend: BackendSettings;

  private constructor(
    backend: BackendSettings,
    clock: Clock.Clock,
    standing: SubscriptionRef.SubscriptionRef<EngineHealth>,
    changes: Queue.Queue<void>,
  ) {
    this.backend = backend;
    this.gate = new HostGate(backend.permits);
    this.changes = changes;
    this.circuit = new Circuit(
      () => elapsedMsUnsafe(clock),
      () => void Queue.offerUnsafe(changes, undefined),
    );
    this.standing = standing;
    this.health = SubscriptionRef.changes(standing);
  }

  static make(backend: BackendSettings): Effect.Effect<OneHost> {
    return Effect.gen(function* () {
      const standing = yield* SubscriptionRef.make<EngineHealth>("serving");
      return new OneHost(backend, yield* Clock.Clock, standing, yield* Queue.sliding<void>(1));
    });
  }

  /** A backend of another model there. */
  add({ permits, probeIntervalMs }: BackendSettings): void {
    this.gate.limit(permits);
    if (probeIntervalMs === undefined || probeIntervalMs >= (this.probeIntervalMs ?? Infinity)) return;
    this.probeIntervalMs = probeIntervalMs;
    Queue.offerUnsafe(this.changes, undefined);
  }

  /** Tells the health, and probes while requests do not show it. */
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
      // Those that waited are not sent one after the other into the same failure: it is looked again when they have a permit.
      return Effect.scoped(Effect.andThen(this.gate.permit(scheduling), attempt));
    });
  }

  private tell(health: EngineHealth): Effect.Effect<void> {
    return Effect.flatMap(SubscriptionRef.get(this.standing), (before) => {
      if (before === health) return Effect.void;
      const { name: backend, baseUrl } = this.backend;
      const log =
        health === "serving"
          ? Effect.logInfo("backend is asked again")
          : Effect.logWarning("backend is left alone: it failed again and again");
      return Effect.andThen(
        Effect.annotateLogs(log, { backend, host: new URL(baseUrl).host }),
        SubscriptionRef.set(this.standing, health),
      );
    });
  }

  /** After the pause of an open circuit; of a closed one at the interval that the operator set, if any. */
  private get probing(): Effect.Effect<void> {
    const { circuit, backend } = this;
    // Requests show how it is, and then it changes.
    if (circuit.isOpen && (circuit.isServing || circuit.isTried)) return Effect.never;
    const waitMs = circuit.isOpen ? (circuit.refusalMs ?? 0) : this.probeIntervalMs;
    if (waitMs === undefined) return Effect.never;
    return Effect.andThen(
      Effect.sleep(waitMs),
      Effect.suspend(() => {
        // A request tries it meanwhile, or the timer was early.
        if (circuit.refusalMs !== undefined) return Effect.void;
        const wasOpen = circuit.isOpen;
        // A server that computes may answer nothing else meanwhile; its tasks show how it is.
        if (!wasOpen && this.running > 0) return Effect.void;
        return Effect.ignore(
          Effect.acquireUseRelease(
            Effect.sync(() => circuit.begin()),
            () => probe(backend),
            ({ end }, exit) =>
              Effect.sync(() => {
                if (Exit.isFailure(exit)) end(Exit.hasInterrupts(exit) ? "unknown" : "unavailable");
                // That it is there does not say that it answers tasks.
                else if (wasOpen) circuit.reached();
              }),
          ),
        );
      }),
    );
  }
}

/** An answer that makes no sense, or refuses, is an answer. */
const verdictOf = (exit: Exit.Exit<void, EngineFailure>): Verdict => {
  const error = Exit.findError(exit);
  if (Result.isFailure(error)) return Exit.isSuccess(exit) ? "answered" : "unknown";
  const { _tag } = error.success;
  return _tag === "BackendUnavailable" || _tag === "EngineLost" ? "unavailable" : "answered";
};
