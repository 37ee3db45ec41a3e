/** What the health service tells, by name: "" for the server, a service's full name, `models/{id}` or `backends/{name}`. */
import { Context, Effect, Layer, Stream, SubscriptionRef } from "effect";

export type ServingStatus = "serving" | "not-serving";

/** The health of one name. */
export interface ReportedHealth {
  readonly status: ServingStatus;
  /** Explains the status to people; empty while it serves. */
  readonly reason: string;
}

interface State {
  readonly byName: ReadonlyMap<string, ReportedHealth>;
  readonly shutDown: boolean;
}

export class Health extends Context.Service<
  Health,
  {
    /** Has no effect after `shutDown`. */
    readonly set: (name: string, status: ServingStatus, reason?: string) => Effect.Effect<void>;
    /** Makes the name unknown again. */
    readonly remove: (name: string) => Effect.Effect<void>;
    readonly all: Effect.Effect<ReadonlyMap<string, ReportedHealth>>;
    /** The current status and every change, `undefined` while the name is unknown. Ends after `shutDown`. */
    readonly watch: (name: string) => Stream.Stream<ServingStatus | undefined>;
    /** All names report NOT_SERVING from now on. */
    readonly shutDown: Effect.Effect<void>;
  }
>()("mlxd/server/Health") {
  static readonly layer = Layer.effect(
    Health,
    Effect.gen(function* () {
      const state = yield* SubscriptionRef.make<State>({ byName: new Map(), shutDown: false });
      const update = (change: (byName: Map<string, ReportedHealth>) => void) =>
        SubscriptionRef.update(state, (before) => {
          if (before.shutDown) return before;
          const byName = new Map(before.byName);
          change(byName);
          return { ...before, byName };
        });
      return Health.of({
        set: (name, status, reason = "") => update((byName) => byName.set(name, { status, reason })),
        remove: (name) => update((byName) => byName.delete(name)),
        all: Effect.map(SubscriptionRef.get(state), ({ byName }) => byName),
        watch: (name) =>
          SubscriptionRef.changes(state).pipe(
            Stream.takeUntil(({ shutDown }) => shutDown),
            Stream.map(({ byName }) => byName.get(name)?.status),
            Stream.changes,
          ),
        shutDown: SubscriptionRef.update(state, ({ byName }) => ({
          byName: new Map([...byName.keys()].map((name) => [name, shuttingDown] as const)),
          shutDown: true,
        })),
      });
    }),
  );
}

const shuttingDown: ReportedHealth = { status: "not-serving", reason: "the service is shutting down" };
