/** The store of jobs, as this host uses it. */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { Context, Deferred, Effect, Layer } from "effect";

import { JobsConfig } from "../config/JobsConfig.ts";
import type { StoreFailure } from "../domain/errors.ts";
import { Connection, type StoreCondition } from "./Connection.ts";
import { inOnePhrase, failureOf, type Thrown } from "./store-failure.ts";
import { sayAlive } from "./store/keep-house.ts";
import { isShared, openStore, type OpenStore } from "./store/open-store.ts";
import { handBack, type Lost } from "./store/settle-items.ts";
import type { Host } from "./store/take-items.ts";

export class StoreAccess extends Context.Service<
  StoreAccess,
  {
    /** This process, as one of the hosts that run items. */
    readonly host: Host;
    /**
     * Uses the store, opening it if necessary.
     *
     * @template E the errors of its own that the work throws
     */
    readonly use: <A, E extends Thrown = never>(
      work: (open: OpenStore) => Promise<A>,
    ) => Effect.Effect<A, StoreFailure | E>;
    /** Completes when the store was opened for the first time: before that there is nothing to run. */
    readonly opened: Effect.Effect<void>;
    /** Whether it may contain jobs of an earlier process or of other hosts, and so has to be opened at the start. */
    readonly isThere: boolean;
    /** Its state; undefined until it was needed. */
    readonly condition: () => StoreCondition | undefined;
  }
>()("mlxd/jobs/StoreAccess") {
  static readonly layer: Layer.Layer<StoreAccess, never, JobsConfig> = Layer.effect(
    StoreAccess,
    Effect.gen(function* () {
      const { store } = yield* JobsConfig;
      const run = Effect.runForkWith(yield* Effect.context<never>());
      const log = (effect: Effect.Effect<void>): void => void run(effect);
      const opened = yield* Deferred.make<void>();
      const host = { id: randomUUID(), name: `${hostname()}:${process.pid}` };
      const onError = (error: unknown): void => log(Effect.logWarning(`the store of jobs: ${inOnePhrase(error)}`));
      const onLost = (failure: unknown): void =>
        log(
          Effect.logWarning(`the store of jobs is closed: ${inOnePhrase(failure)}`).pipe(
            Effect.annotateLogs({ cause: failure instanceof Error ? failure.message : String(failure) }),
          ),
        );
      const open = async (): Promise<OpenStore> => {
        const begun = performance.now();
        // It takes seconds, which the first caller waits for.
        log(Effect.logInfo(isShared(store) ? "connecting to the store of jobs" : "opening the store of jobs"));
        const [found, handedBack] = await openForHost(store, host, onError);
        Deferred.doneUnsafe(opened, Effect.void);
        const ms = Math.round(performance.now() - begun);
        log(Effect.logInfo("the store of jobs is open").pipe(Effect.annotateLogs({ handedBack, ms })));
        if (!found.isDurable) {
          log(Effect.logWarning("the store of jobs is not safe against power loss: its disk is never told to keep"));
        }
        return found;
      };
      const connection = new Connection({
        open,
        onLost,
        onError,
        now: () => performance.now(),
        patience: () => sleep(patienceMs, undefined, { ref: false }),
      });
      yield* Effect.addFinalizer(() => Effect.promise(() => connection.close()));
      return StoreAccess.of({
        host,
        opened: Deferred.await(opened),
        isThere: isShared(store) || existsSync(store),
        condition: () => connection.condition,
        use: <A, E extends Thrown = never>(work: (open: OpenStore) => Promise<A>) =>
          Effect.callback<A, StoreFailure | E>((resume) => {
            connection.use(work).then(
              (value) => resume(Effect.succeed(value)),
              (error: unknown) => resume(failureOf<E>(error, connection.retryAfterMs)),
            );
          }),
      });
    }),
  );
}

/** As the service ends: longer than a statement takes, and shorter than whoever ends it waits. */
const patienceMs = 5_000;

/** Opens it, and gives back the items of hosts that have ended. @returns how many those were, too */
const openForHost = async (
  store: string,
  host: Host,
  onError: (error: unknown) => void,
): Promise<readonly [OpenStore, number]> => {
  const open = await openStore(store, onError);
  try {
    await sayAlive(open.database, host);
    // Only one process can use a directory, so whatever ran its items before has ended.
    const lost: Lost = isShared(store) ? { hosts: "over" } : { hosts: "all", apart: host.id };
    let handedBack = 0;
    for (let more = 1; more > 0; handedBack += more) {
      more = await handBack(open.database, open.boss, lost);
    }
    return [open, handedBack];
  } catch (error) {
    // Otherwise its directory would stay locked, and nobody could open it again.
    await open.close().catch(onError);
    throw error;
  }
};
