import { afterEach, assert, beforeEach, describe, it, vi } from "vitest";

import { type SendingTimedOut, watchedBody } from "../../../../src/service/engine/backends/watched-body.ts";

const timeOuts = { connectTimeoutMs: 100, poolTimeoutMs: 50, writeTimeoutMs: 1_000 };

describe("a body that is watched", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  const create = (text: string) => {
    const reasons: SendingTimedOut["code"][] = [];
    const body = watchedBody([text], timeOuts, ({ code }) => void reasons.push(code));
    return { body, reasons, pieces: body.pieces[Symbol.asyncIterator]() };
  };

  it("is sent in pieces, and is all of the text", async () => {
    const text = "한".repeat(50_000);
    const { body } = create(text);
    const parts: Uint8Array[] = [];
    for await (const part of body.pieces) parts.push(part);
    assert.isAbove(parts.length, 1);
    assert.strictEqual(Buffer.concat(parts).toString(), text);
    assert.strictEqual(body.bytes, Buffer.byteLength(text));
    assert.strictEqual(vi.getTimerCount(), 0);
  });

  it.each([0, 1, 2, 3, 49_151, 49_152, 49_153, 98_304, 150_001])("has an image of %i bytes in base64", async (size) => {
    const image = Uint8Array.from({ length: size + 2 }, (_, index) => index % 251).subarray(1, size + 1);
    const body = watchedBody(['{"a":"', image, '"}'], timeOuts, () => {});
    const parts: Uint8Array[] = [];
    for await (const part of body.pieces) parts.push(part);
    const sent = Buffer.concat(parts);
    assert.strictEqual(sent.toString(), `{"a":"${Buffer.from(image).toString("base64")}"}`);
    assert.strictEqual(body.bytes, sent.length);
    assert.isAtMost(Math.max(...parts.map(({ length }) => length)), 65_536);
  });

  it("waits for a connection as long as one may take and be waited for", () => {
    const { reasons } = create("a");
    vi.advanceTimersByTime(149);
    assert.deepStrictEqual(reasons, []);
    vi.advanceTimersByTime(1);
    assert.deepStrictEqual(reasons, ["MLXD_POOL_TIMEOUT"]);
  });

  it("waits for each piece to leave, anew", async () => {
    const { reasons, pieces } = create("a".repeat(200_000));
    for (let count = 0; count < 3; count++) {
      await pieces.next();
      vi.advanceTimersByTime(999);
    }
    assert.deepStrictEqual(reasons, []);
    vi.advanceTimersByTime(1);
    assert.deepStrictEqual(reasons, ["MLXD_WRITE_TIMEOUT"]);
  });

  it("is not watched any more when it is given up", async () => {
    const { body, pieces } = create("a".repeat(200_000));
    await pieces.next();
    await pieces.return?.();
    assert.strictEqual(vi.getTimerCount(), 0);
    const other = create("a");
    other.body.stop();
    assert.strictEqual(vi.getTimerCount(), 0);
    assert.strictEqual(body.bytes, 200_000);
  });
});
