/** What the health service tells, by name: "" for the server, a service's full name, `models/{id}` or `backends/{name}`. */
import { Context, Effect, Layer, Stream, SubscriptionRef } from "effect";

export type ServingStatus = "serving" | "not-serving";

export interface Standing {
  readonly status: ServingStatus;
  /** Explains the status to people; empty while it serves. */
  readonly reason: string;
}

interface State {
  readonly standings: ReadonlyMap<string, Standing>;
  readonly shutDown: boolean;
}

export class Health extends Context.Service<
  Health,
  {
    /** Has no effect after `shutDown`. */
    readonly set: (name: string, status: ServingStatus, reason?: string) => Effect.Effect<void>;
    /** Makes the name unknown again. */
    readonly remove: (name: string) => Effect.Effect<void>;
    readonly all: Effect.Effect<ReadonlyMap<string, Standing>>;
    /** The current status and every change, `undefined` while the name is unknown. Ends after `shutDown`. */
    readonly watch: (name: string) => Stream.Stream<ServingStatus | undefined>;
    /** All names report NOT_SERVING from now on. */
    readonly shutDown: Effect.Effect<void>;
  }
>()("mlxd/server/Health") {
  static readonly layer = Layer.effect(
    Health,
    Effect.gen(function* () {
      const state = yield* SubscriptionRef.make<State>({ standings: new Map(), shutDown: false });
      const update = (change: (standings: Map<string, Standing>) => void) =>
        SubscriptionRef.update(state, (before) => {
          if (before.shutDown) return before;
          const standings = new Map(before.standings);
          change(standings);
          return { ...before, standings };
        });
      return Health.of({
        set: (name, status, reason = "") => update((standings) => standings.set(name, { status, reason })),
        remove: (name) => update((standings) => standings.delete(name)),
        all: Effect.map(SubscriptionRef.get(state), ({ standings }) => standings),
        watch: (name) =>
          SubscriptionRef.changes(state).pipe(
            Stream.takeUntil(({ shutDown }) => shutDown),
            Stream.map(({ standings }) => standings.get(name)?.status),
            Stream.changes,
          ),
        shutDown: SubscriptionRef.update(state, ({ standings }) => ({
          standings: new Map([...standings.keys()].map((name) => [name, shuttingDown] as const)),
          shutDown: true,
        })),
      });
    }),
  );
}

const shuttingDown: Standing = { status: "not-serving", reason: "the service is shutting down" };
