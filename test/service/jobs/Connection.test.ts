import type { PgBoss } from "pg-boss";
import { assert, describe, it } from "vitest";

import { JobNotFound } from "../../../src/service/domain/errors.ts";
import { Connection } from "../../../src/service/jobs/Connection.ts";
import type { OpenStore } from "../../../src/service/jobs/store/open-store.ts";
import { errorOf } from "../../support/error-of.ts";

const full = Object.assign(new Error("could not write"), { code: "53100" });

/** A store that is opened when a test says so. */
const scripted = () => {
  let now = 0;
  let isBroken = false;
  const log: string[] = [];
  let hasPatience = true;
  const lost = new Set<OpenStore>();
  const open = (): Promise<OpenStore> => {
    log.push("open");
    if (isBroken) return Promise.reject(full);
    const store: OpenStore = {
      database: {
        backend: "pglite",
        query: () => Promise.resolve([]),
        transaction: () => assert.fail("it is not used"),
        isLost: () => lost.has(store),
        close: () => Promise.resolve(),
      },
      boss: {} as PgBoss, // not used here
      isDurable: true,
      close: () => Promise.resolve(void log.push("close")),
    };
    return Promise.resolve(store);
  };
  const connection = new Connection({
    open,
    onLost: (failure) => assert.strictEqual(failure, full),
    onError: (error) => assert.fail(String(error)),
    now: () => now,
    patience: () => (hasPatience ? new Promise(() => {}) : Promise.resolve()),
  });
  const loses = (store: OpenStore): never => {
    lost.add(store);
    throw full;
  };
  return {
    connection,
    log,
    breaks: (value: boolean) => (isBroken = value),
    losesPatience: () => (hasPatience = false),
    passes: (ms: number) => (now += ms),
    read: () => connection.use(() => Promise.resolve("read")),
    lose: () => connection.use((store) => Promise.resolve(loses(store))),
    loses,
  };
};

describe("the connection to the store", () => {
  it("is opened once, by the first who needs it", async () => {
    const { connection, log, read } = scripted();
    assert.isUndefined(connection.condition);
    assert.deepEqual(await Promise.all([read(), read()]), ["read", "read"]);
    assert.deepEqual(log, ["open"]);
    assert.deepEqual(connection.condition, { isWell: true, reason: "" });
    await connection.close();
    assert.deepEqual(log, ["open", "close"]);
    assert.match((await errorOf(read())).message, /closed/);
  });

  it("stays open, and is said to be well, after a mistake of a caller or of ours; stays open after a statement that failed", async () => {
    const { connection, log, read } = scripted();
    const missing = new JobNotFound({ jobId: "none" });
    assert.strictEqual(await errorOf(connection.use(() => Promise.reject(missing))), missing);
    assert.strictEqual(await read(), "read");
    const mistake = new TypeError("it is not a function");
    const violated = Object.assign(new Error("duplicate key"), { code: "23505" });
    for (const bug of [mistake, violated]) {
      assert.strictEqual(await errorOf(connection.use(() => Promise.reject(bug))), bug);
      assert.deepEqual(connection.condition, { isWell: true, reason: "" });
    }
    assert.strictEqual(await errorOf(connection.use(() => Promise.reject(full))), full);
    assert.deepEqual(connection.condition, { isWell: false, reason: "its disk is full" });
    assert.strictEqual(await read(), "read");
    assert.deepEqual(log, ["open"]);
  });

  it("says that it is being opened", async () => {
    const { connection, read } = scripted();
    const reading = read();
    assert.deepEqual(connection.condition, { isWell: false, reason: "it is being opened" });
    await reading;
    assert.deepEqual(connection.condition, { isWell: true, reason: "" });
  });

  it("is closed when what is being done with it has ended, also where that finds the store lost", async () => {
    for (const isLost of [false, true]) {
      const { connection, log, loses } = scripted();
      let go = (): void => {};
      const going = new Promise<void>((resolve) => (go = resolve));
      const working = connection.use(async (store) => {
        await going;
        log.push("worked");
        if (isLost) loses(store);
      });
      const outcome = working.catch((error: unknown) => error);
      const closing = connection.close().then(() => log.push("closed"));
      await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(log, ["open"]);
      go();
      await closing;
      assert.strictEqual(await outcome, isLost ? full : undefined);
      assert.deepEqual(log, ["open", "worked", "close", "closed"]);
    }
  });

  it("is closed under what does not end", async () => {
    const { connection, log, losesPatience } = scripted();
    void connection.use(() => new Promise(() => {}));
    losesPatience();
    await connection.close();
    assert.deepEqual(log, ["open", "close"]);
  });

  it("is not opened again and again where that comes to nothing: the waits double up to half a minute", async () => {
    const { connection, log, read, breaks, passes } = scripted();
    breaks(true);
    assert.strictEqual(await errorOf(read()), full);
    const waits: number[] = [];
    for (let opened = 1; opened <= 8; opened++) {
      let waited = 0;
      for (; log.length === opened; waited += 500) {
        passes(500);
        assert.strictEqual(await errorOf(read()), full);
      }
      waits.push(waited);
    }
    assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    assert.strictEqual(connection.retryAfterMs, 30_000);
    breaks(false);
    passes(30_000);
    assert.strictEqual(await read(), "read");
    assert.strictEqual(connection.retryAfterMs, 2_000);
  });

  it("is closed and opened again where the store was lost, soon where it had been well for long", async () => {
    const { log, read, lose, passes } = scripted();
    for (let turn = 0; turn < 4; turn++) {
      await read();
      passes(60_000);
      assert.strictEqual(await errorOf(lose()), full);
      assert.strictEqual(await errorOf(read()), full);
      passes(1_000);
    }
    await read();
    assert.deepEqual(log, [...Array.from({ length: 4 }, () => ["open", "close"]).flat(), "open"]);
  });

  it("waits longer where the store is lost as soon as it is opened", async () => {
    const { log, read, lose, passes } = scripted();
    await errorOf(lose());
    passes(1_000);
    await errorOf(lose());
    passes(1_000);
    await errorOf(read());
    assert.lengthOf(log, 4);
    passes(1_000);
    assert.strictEqual(await read(), "read");
  });
});
