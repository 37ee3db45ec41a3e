import { assert, afterEach, beforeEach, describe, it, vi } from "vitest";

import { capacity, Outbox } from "../../../src/service/calls/Outbox.ts";
import { errorOf } from "../../support/error-of.ts";
import { collect } from "../../support/collect.ts";

const stallMs = 1000;

const create = (onStall: () => void = () => {}) => new Outbox<number>({ stallMs, onStall });

const iterate = (outbox: Outbox<number>): AsyncIterable<number> => ({
  [Symbol.asyncIterator]: () => ({ next: () => outbox.next() }),
});

describe("order and ends", () => {
  it("delivers what was pushed, before and while the reader waits, in order", async () => {
    const outbox = create();
    outbox.push([1, 2]);
    const all = collect(iterate(outbox));
    outbox.push([3]);
    await Promise.resolve();
    outbox.push([4, 5]);
    outbox.end({});
    assert.deepStrictEqual(await all, [1, 2, 3, 4, 5]);
    assert.strictEqual(outbox.taken, 5);
  });

  it("delivers what waits before the error, and the error once", async () => {
    const outbox = create();
    outbox.push([1]);
    outbox.end({ error: new Error("lost") });
    assert.deepStrictEqual(await outbox.next(), { done: false, value: 1 });
    assert.include((await errorOf(outbox.next())).message, "lost");
    assert.deepStrictEqual(await outbox.next(), { done: true, value: undefined });
  });

  it("drops what waits when it is abandoned", async () => {
    const outbox = create();
    outbox.push([1, 2]);
    outbox.abandon({ error: new Error("stalled") });
    assert.include((await errorOf(outbox.next())).message, "stalled");
    assert.strictEqual(outbox.taken, 0);
  });

  it("the first end stands", async () => {
    const outbox = create();
    outbox.end({});
    outbox.end({ error: new Error("later") });
    outbox.push([1]);
    assert.deepStrictEqual(await outbox.next(), { done: true, value: undefined });
  });

  it("releases a reader that waits when it is closed", async () => {
    const outbox = create();
    const next = outbox.next();
    outbox.close();
    assert.deepStrictEqual(await next, { done: true, value: undefined });
  });
});

describe("room", () => {
  it("asks its maker to wait when it is full, until half of it is taken", async () => {
    const outbox = create();
    assert.isTrue(outbox.push(Array.from({ length: capacity - 1 }, (_, index) => index)));
    assert.isFalse(outbox.push([capacity]));
    let told = false;
    outbox.whenRoom(() => (told = true));
    for (let taken = 0; taken < capacity / 2; taken++) {
      assert.isFalse(told);
      await outbox.next();
    }
    assert.isTrue(told);
  });

  it.each(["abandon", "close"] as const)("%s releases a maker that waits", (method) => {
    const outbox = create();
    outbox.push(Array.from({ length: capacity }, () => 0));
    let told = false;
    outbox.whenRoom(() => (told = true));
    outbox[method]({});
    assert.isTrue(told);
    assert.isTrue(outbox.push([1]));
  });
});

describe("stalls", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("tells when nothing was taken for as long as that", () => {
    const onStall = vi.fn();
    const outbox = create(onStall);
    outbox.push([1]);
    vi.advanceTimersByTime(stallMs - 1);
    assert.lengthOf(onStall.mock.calls, 0);
    vi.advanceTimersByTime(1);
    assert.lengthOf(onStall.mock.calls, 1);
  });

  it("counts from the last time that the reader came", async () => {
    const onStall = vi.fn();
    const outbox = create(onStall);
    outbox.push([1, 2]);
    vi.advanceTimersByTime(900);
    await outbox.next();
    vi.advanceTimersByTime(900);
    assert.lengthOf(onStall.mock.calls, 0);
    vi.advanceTimersByTime(100);
    assert.lengthOf(onStall.mock.calls, 1);
  });

  it("does not count the time in which the reader waited for an event", async () => {
    const onStall = vi.fn();
    const outbox = create(onStall);
    outbox.push([1]);
    await outbox.next();
    const next = outbox.next();
    vi.advanceTimersByTime(990);
    outbox.push([2]);
    await next;
    outbox.push([3]);
    vi.advanceTimersByTime(990);
    assert.lengthOf(onStall.mock.calls, 0);
    vi.advanceTimersByTime(10);
    assert.lengthOf(onStall.mock.calls, 1);
  });

  it("counts for an end that nobody fetches too, and tells again and again", () => {
    const onStall = vi.fn();
    const outbox = create(onStall);
    outbox.end({});
    vi.advanceTimersByTime(3 * stallMs);
    assert.lengthOf(onStall.mock.calls, 3);
    outbox.close();
    vi.advanceTimersByTime(3 * stallMs);
    assert.lengthOf(onStall.mock.calls, 3);
  });

  it("leaves no timer behind once all is delivered", async () => {
    const outbox = create();
    outbox.push([1]);
    outbox.end({});
    await outbox.next();
    await outbox.next();
    assert.strictEqual(vi.getTimerCount(), 0);
  });
});
