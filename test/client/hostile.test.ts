/**
 * A server that breaks the protocol on purpose, in bytes: every client must end with a typed error, never hang, never take
 * more memory than a message may have, and never make up an answer. test/client/protocol.test.ts has messages that are right by
 * themselves and come in the wrong order.
 */
import { assert, describe, it } from "vitest";
import { type ClientOptions, isMlxdError, type MlxdErrorReason } from "../../src/client/index.ts";
import { clientKinds, connect } from "../support/client-kinds.ts";
import { encoded, framed, type HostileAnswer, startHostileServer } from "../support/hostile-server.ts";
import { saying } from "../support/scripted-events.ts";

const [started = Buffer.alloc(0), chunk = Buffer.alloc(0), finished = Buffer.alloc(0)] = saying("a").map(encoded);
const whole = [framed(started), framed(chunk), framed(finished)];

/** Fields and enum values of a newer service: field 100 (a varint), finish reason 99. */
const newer = Buffer.concat([finished, Buffer.from([0xa0, 0x06, 0x05])]);

const cases: readonly (readonly [what: string, HostileAnswer, reasons: readonly MlxdErrorReason[]])[] = [
  [
    "has a frame whose header is cut",
    { body: [framed(started), Buffer.from([0, 0, 0])], end: "ok" },
    ["PROTOCOL", "CONNECTION"],
  ],
  [
    "has a frame that is shorter than it says",
    { body: [framed(started), framed(chunk, 0, 5000)], end: "ok" },
    ["PROTOCOL", "CONNECTION"],
  ],
  [
    "has a frame of 4 GiB",
    { body: [framed(started), framed(chunk, 0, 0xffff_ffff)], end: "never" },
    ["PROTOCOL", "UNKNOWN"],
  ],
  [
    "has a message that is no protobuf",
    { body: [framed(started), framed(Buffer.from([0xff, 0xff, 0xff]))], end: "ok" },
    ["PROTOCOL"],
  ],
  [
    "has a frame that says it is compressed",
    { body: [framed(started), framed(chunk, 1)], end: "ok" },
    ["PROTOCOL", "UNKNOWN"],
  ],
  ["ends without saying so", { body: whole, end: "no-trailers" }, ["PROTOCOL", "CONNECTION"]],
  ["ends OK before it is finished", { body: whole.slice(0, 2), end: "ok" }, ["PROTOCOL"]],
  ["is empty", { body: [], end: "ok" }, ["PROTOCOL"]],
  ["is empty and ends without saying so", { body: [], end: "no-trailers" }, ["PROTOCOL", "CONNECTION"]],
  ["is finished and then broken off", { body: whole, end: "cut" }, ["PROTOCOL", "CONNECTION"]],
  ["is finished twice", { body: [...whole, framed(finished)], end: "ok" }, ["PROTOCOL"]],
  ["falls silent", { body: whole.slice(0, 2), end: "never" }, ["DEADLINE"]],
  ["is finished and never ends", { body: whole, end: "never" }, ["DEADLINE"]],
];

// JSON has frames of its own; the bytes of these are for the binary form.
describe.each(clientKinds.filter(({ name }) => !name.includes("JSON")))("over $name", (kind) => {
  it.each(cases)("a stream that %s is a typed error", async (what, answer, reasons) => {
    await using server = await startHostileServer(kind.httpVersion, answer);
    const client = kind.createClient(server.url, {
      retry: false,
      timeoutMs: reasons.includes("DEADLINE") ? 500 : 60_000,
    });
    const before = process.memoryUsage().rss;
    const error: unknown = await client
      .stream("hi")
      .collect()
      .catch((reason: unknown) => reason);
    assert.isTrue(isMlxdError(error), `${what}: ${JSON.stringify(error)}`);
    if (isMlxdError(error)) assert.include(reasons, error.reason, error.message);
    assert.isBelow(process.memoryUsage().rss - before, 512e6);
    client.close();
  });

  it("a stream with fields that are newer than the client is an answer", async () => {
    await using server = await startHostileServer(kind.httpVersion, {
      body: [framed(started), framed(chunk), framed(newer)],
      end: "ok",
    });
    using client = kind.createClient(server.url, { retry: false });
    assert.equal((await client.stream("hi").collect()).text, "a");
  });

  it("a stream in single bytes is an answer", async () => {
    const bytes = Buffer.concat(whole);
    const body = Array.from(bytes, (byte) => Buffer.from([byte]));
    await using server = await startHostileServer(kind.httpVersion, { body, end: "ok" });
    using client = kind.createClient(server.url, { retry: false });
    assert.equal((await client.stream("hi").collect()).text, "a");
  });
});

describe("a message that is over readMaxBytes", () => {
  it.each(clientKinds.filter(({ name }) => name !== "grpc-js"))(
    "is refused over $name, alone and in a stream",
    async (kind) => {
      const text = "x".repeat(5000);
      await using pair = await connect(
        kind,
        {
          generate: () => ({ result: { candidates: [{ text }] } }),
          async *stream() {
            yield* saying(text);
          },
        },
        { readMaxBytes: 4000 } as ClientOptions,
      );
      const calls = [() => pair.client.generate("hi"), () => pair.client.stream("hi").collect()];
      for (const call of calls) {
        const error: unknown = await call().catch((reason: unknown) => reason);
        assert.isTrue(isMlxdError(error) && error.code === "RESOURCE_EXHAUSTED", String(error));
      }
    },
  );
});
