/** The store of a single host: Postgres in a thread of the service's process, with its files in a directory. */
import { AsyncLocalStorage } from "node:async_hooks";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";

import type { Database, Row, Session } from "./Database.ts";
import { lockDirectory } from "./directory-lock.ts";
import {
  type EmbeddedAnswer,
  EmbeddedFailure,
  type EmbeddedProblem,
  type EmbeddedRequest,
} from "./embedded-protocol.ts";
import { makeDatabase } from "./make-database.ts";

export interface EmbeddedDatabase extends Database {
  /**
   * Whether committed data is on the disk when a commit returns; otherwise a power failure may lose the latest commits.
   */
  readonly isDurable: boolean;
}

/** Throws DirectoryLocked. */
export const openEmbedded = async (directory: string): Promise<EmbeddedDatabase> => {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  let onLost = (): void => {};
  const lost = new Promise<void>((resolve) => (onLost = resolve));
  const unlock = await lockDirectory(directory, onLost);
  let thread: EmbeddedThread | undefined;
  try {
    const data = join(directory, "data");
    await makeDatabase(data);
    thread = new EmbeddedThread(data, lost);
    return await openThread(thread, unlock);
  } catch (error) {
    await thread?.close();
    unlock();
    throw error;
  }
};

const openThread = async (thread: EmbeddedThread, unlock: () => void): Promise<EmbeddedDatabase> => {
  await thread.opened;
  const session: Session = { query: (text, values) => thread.run(text, values) };
  await session.query("CREATE SCHEMA IF NOT EXISTS mlxd; CREATE TABLE IF NOT EXISTS mlxd.probe (written int)");
  const isDurable = await thread.commitsReachDisk();
  const turns = new Turns();
  const own = new AsyncLocalStorage<Session>();
  const query: Session["query"] = (text, values) =>
    own.getStore()?.query(text, values) ?? turns.take(() => rolledBackIfFailed(session, session.query(text, values)));
  return {
    backend: "pglite",
    isDurable,
    query,
    transaction: (work) => turns.take(() => inTransaction(session, () => own.run(session, () => work(session)))),
    isLost: () => thread.isLost,
    close: async () => {
      await thread.close();
      unlock();
    },
  };
};

const inTransaction = async <A>(session: Session, work: () => Promise<A>): Promise<A> => {
  await session.query("BEGIN");
  const done = work().then(async (value) => {
    await session.query("COMMIT");
    return value;
  });
  return rolledBackIfFailed(session, done);
};

/**
 * There is only one connection, so a transaction that stays open, even one begun within a list of statements, would
 * make all others fail.
 */
const rolledBackIfFailed = async <A>(session: Session, done: Promise<A>): Promise<A> => {
  try {
    return await done;
  } catch (error) {
    // If the thread has ended there is nothing to roll back.
    await session.query("ROLLBACK").catch(() => {});
    throw error;
  }
};

/** There is only one connection, so a transaction waits for the end of the previous one. */
class Turns {
  private last: Promise<unknown> = Promise.resolve();

  take<A>(work: () => Promise<A>): Promise<A> {
    const turn = this.last.then(work);
    this.last = turn.catch(() => {});
    return turn;
  }
}

interface Waiting {
  readonly resolve: (answer: { readonly rows: ReadonlyArray<Row>; readonly syncs: number }) => void;
  readonly reject: (error: Error) => void;
}

class EmbeddedThread {
  readonly opened: Promise<unknown>;
  private readonly worker: Worker;
  private readonly ended: Promise<unknown>;
  private readonly waiting = new Map<number, Waiting>();
  private lastId = 0;
  /** Why Postgres has ended. */
  private end: EmbeddedFailure | undefined;

  /** @param taken another process has taken its directory over */
  constructor(directory: string, taken: Promise<void>) {
    void taken.then(() => this.lose({ message: "another process has taken its directory over", code: gone }));
    this.worker = new Worker(new URL("./embedded-worker.ts", import.meta.url), {
      workerData: { directory },
      // A separate stream, so that Postgres does not print to the service's output.
      stdout: true,
      stderr: true,
      execArgv: [],
    });
    this.worker.stdout.resume();
    this.worker.stderr.resume();
    this.worker.unref();
    this.opened = this.answerTo(0);
    this.worker.on("message", (answer: EmbeddedAnswer) => this.settle(answer));
    this.worker.on("error", (error: unknown) =>
      this.lose({ message: error instanceof Error ? error.message : String(error), code: gone }),
    );
    this.ended = new Promise((resolve) => this.worker.on("exit", resolve));
    this.worker.on("exit", () => this.lose({ message: "its thread has ended", code: gone }));
  }

  get isLost(): boolean {
    return this.end !== undefined;
  }

  async run(text: string, values?: ReadonlyArray<unknown>): Promise<ReadonlyArray<Row>> {
    return (await this.ask(text, values)).rows;
  }

  /** Whether a commit made Postgres flush to the disk. */
  async commitsReachDisk(): Promise<boolean> {
    const { syncs } = await this.ask("DELETE FROM mlxd.probe; INSERT INTO mlxd.probe VALUES (1)");
    return syncs > 0;
  }

  /** Completes when the thread has ended and no longer writes to its directory. */
  async close(): Promise<void> {
    this.worker.postMessage("close");
    const timer = setTimeout(() => void this.worker.terminate(), closeWithinMs);
    await this.ended;
    clearTimeout(timer);
  }

  private ask(text: string, values: ReadonlyArray<unknown> = []): ReturnType<typeof this.answerTo> {
    if (this.end !== undefined) return Promise.reject(this.end);
    const id = ++this.lastId;
    const request: EmbeddedRequest = { id, text, values };
    const answer = this.answerTo(id);
    this.worker.postMessage(request);
    return answer;
  }

  private answerTo(id: number): Promise<{ readonly rows: ReadonlyArray<Row>; readonly syncs: number }> {
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  private settle(answer: EmbeddedAnswer): void {
    if ("lost" in answer) return this.lose(answer.lost);
    const waiting = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    if ("error" in answer) waiting?.reject(new EmbeddedFailure(answer.error));
    else waiting?.resolve(answer);
  }

  /** Ends the thread. Statements that wait for an answer fail with this problem. */
  lose(why: EmbeddedProblem): void {
    this.end ??= new EmbeddedFailure(why);
    for (const { reject } of this.waiting.values()) reject(this.end);
    this.waiting.clear();
    void this.worker.terminate();
  }
}

/** SQLSTATE of a server that has ended: admin_shutdown. */
const gone = "57P01";
/** After this time the thread is ended, which its files survive. */
const closeWithinMs = 10_000;
