/** What the health service tells, by name: "" for the server, a service's full name, or `models/{id}`. */
import { Context, Effect, Layer, Stream, SubscriptionRef } from "effect";

export type ServingStatus = "serving" | "not-serving";

interface State {
  readonly statuses: ReadonlyMap<string, ServingStatus>;
  readonly shutDown: boolean;
}

export class Health extends Context.Service<
  Health,
  {
    /** Without effect after `shutDown`. */
    readonly set: (name: string, status: ServingStatus) => Effect.Effect<void>;
    /** Makes the name unknown again. */
    readonly remove: (name: string) => Effect.Effect<void>;
    readonly all: Effect.Effect<ReadonlyMap<string, ServingStatus>>;
    /** The status now and each other one that follows, `undefined` while the name is unknown. Ends after `shutDown`. */
    readonly watch: (name: string) => Stream.Stream<ServingStatus | undefined>;
    /** Every name is not serving, for good. */
    readonly shutDown: Effect.Effect<void>;
  }
>()("mlxd/server/Health") {
  static readonly layer = Layer.effect(
    Health,
    Effect.gen(function* () {
      const state = yield* SubscriptionRef.make<State>({ statuses: new Map(), shutDown: false });
      const update = (change: (statuses: Map<string, ServingStatus>) => void) =>
        SubscriptionRef.update(state, (before) => {
          if (before.shutDown) return before;
          const statuses = new Map(before.statuses);
          change(statuses);
          return { ...before, statuses };
        });
      return Health.of({
        set: (name, status) => update((statuses) => statuses.set(name, status)),
        remove: (name) => update((statuses) => statuses.delete(name)),
        all: Effect.map(SubscriptionRef.get(state), ({ statuses }) => statuses),
        watch: (name) =>
          SubscriptionRef.changes(state).pipe(
            Stream.takeUntil(({ shutDown }) => shutDown),
            Stream.map(({ statuses }) => statuses.get(name)),
            Stream.changes,
          ),
        shutDown: SubscriptionRef.update(state, ({ statuses }) => ({
          statuses: new Map([...statuses.keys()].map((name) => [name, "not-serving"] as const)),
          shutDown: true,
        })),
      });
    }),
  );
}
