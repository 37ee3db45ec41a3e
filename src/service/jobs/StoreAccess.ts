/** The store, opened when it is first needed and reopened when it was lost. */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { Context, Deferred, Effect, Layer } from "effect";

import { JobsConfig } from "../config/JobsConfig.ts";
import { JobStoreUnavailable, JobStoreUnusable, type ServiceError, type StoreFailure } from "../domain/errors.ts";
import { DirectoryLocked } from "./store/directory-lock.ts";
import { sayAlive } from "./store/keep-house.ts";
import { NewerStore } from "./store/migrations.ts";
import { isShared, openStore, type OpenStore } from "./store/open-store.ts";
import { handBack } from "./store/settle-items.ts";
import type { Host } from "./store/take-items.ts";

/** Errors of the store's functions that a caller can react to. */
type Thrown = Extract<ServiceError, { readonly _tag: `Job${string}` | "SequenceOutOfRange" }>;

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
      const connection = new Connection(store, host, {
        onError: (error) => log(Effect.logWarning(`the store of jobs: ${describe(error)}`)),
        onOpen: ({ isDurable }, handedBack) => {
          Deferred.doneUnsafe(opened, Effect.void);
          log(Effect.logInfo("the store of jobs is open").pipe(Effect.annotateLogs({ handedBack })));
          if (!isDurable) {
            log(Effect.logWarning("the store of jobs is not safe against power loss: its disk is never told to keep"));
          }
        },
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
              (error: unknown) => resume(failureOf<E>(error)),
            );
          }),
      });
    }),
  );
}

export interface StoreCondition {
  readonly isWell: boolean;
  /** Why not. */
  readonly reason: string;
}

interface Listener {
  readonly onError: (error: unknown) => void;
  readonly onOpen: (store: OpenStore, handedBack: number) => void;
}

class Connection {
  condition: StoreCondition | undefined;
  private readonly store: string;
  private readonly host: Host;
  private readonly listener: Listener;
  private open: Promise<OpenStore> | undefined;
  private closed = false;

  constructor(store: string, host: Host, listener: Listener) {
    this.store = store;
    this.host = host;
    this.listener = listener;
  }

  async use<A>(work: (open: OpenStore) => Promise<A>): Promise<A> {
    const opening = this.current();
    try {
      const open = await opening;
      const done = await work(open);
      this.condition = { isWell: true, reason: "" };
      return done;
    } catch (error) {
      if (!isExpected(error)) {
        this.condition = { isWell: false, reason: describe(error) };
        await this.forgetLost(opening);
      }
      throw error;
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    const open = await this.open?.catch(() => undefined);
    await open?.close().catch(this.listener.onError);
  }

  private current(): Promise<OpenStore> {
    if (this.closed) return Promise.reject(new Error("it is closed, as the service ends"));
    this.open ??= this.openNow();
    return this.open;
  }

  private async openNow(): Promise<OpenStore> {
    const open = await openStore(this.store, this.listener.onError);
    await sayAlive(open.database, this.host);
    // Only one process can use a directory, so whatever ran its items before has ended.
    const hosts = isShared(this.store) ? "over" : "all";
    const handedBack = await handBack(open.database, open.boss, { hosts, apart: this.host.id });
    this.listener.onOpen(open, handedBack);
    return open;
  }

  private async forgetLost(opening: Promise<OpenStore>): Promise<void> {
    const open = await opening.catch(() => undefined);
    if (this.open !== opening || (open !== undefined && !open.database.isLost())) return;
    this.open = undefined;
    await open?.close().catch(this.listener.onError);
  }
}

/** A caller's mistake, or a bug: the store itself is fine. */
const isExpected = (error: unknown): error is Thrown =>
  error instanceof Error && "_tag" in error && typeof error._tag === "string";

const retryAfterMs = 2_000;

const failureOf = <E extends Thrown>(error: unknown): Effect.Effect<never, StoreFailure | E> => {
  if (isExpected(error)) return Effect.fail(error as E);
  if (error instanceof DirectoryLocked || error instanceof NewerStore) {
    return Effect.fail(new JobStoreUnusable({ cause: error.message }));
  }
  // A wrong statement, or a violated constraint of the tables.
  if (/^(22|23|42)/.test(codeOf(error))) return Effect.die(error);
  return Effect.fail(new JobStoreUnavailable({ cause: describe(error), retryAfterMs }));
};

/** In one phrase, without addresses, names and paths. */
const describe = (error: unknown): string => {
  if (error instanceof DirectoryLocked || error instanceof NewerStore) return error.message;
  const code = codeOf(error);
  if (code === "ENOSPC" || code === "53100" || /No space left/.test(String(error))) return "its disk is full";
  if (code === "EACCES" || code === "EROFS" || code === "EPERM") return "it may not be written";
  if (code === "ECONNREFUSED" || code === "ENOENT" || code === "ENOTFOUND") return "its database does not answer";
  if (/^(28|3D)/.test(code)) return "its database does not let this service in";
  if (/^(57P|08)/.test(code) || /Connection terminated|timeout|ECONNRESET/i.test(String(error))) {
    return "its database went away";
  }
  return `its database failed${code === "" ? "" : ` (${code})`}`;
};

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
