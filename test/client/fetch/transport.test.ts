/** What the transport over `fetch` makes of answers that a service of mlxd does not give, and of a `fetch` that misbehaves. */
import { create, toBinary } from "@bufbuild/protobuf";
import { assert, describe, it } from "vitest";
import {
  GenerateResponseSchema,
  StreamGenerateResponseSchema,
} from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { isMlxdError, type MlxdError } from "../../../src/client/index.ts";
import { createMlxdClient, type WebClientOptions } from "../../../src/client/web.ts";
import { framed } from "../../support/hostile-server.ts";
import { saying } from "../../support/scripted-events.ts";

type Fetch = typeof globalThis.fetch;

const clientOf = (fetch: Fetch, options: WebClientOptions = {}) =>
  createMlxdClient({ retry: false, fetch, ...options });

const failure = async (promise: Promise<unknown>): Promise<MlxdError> => {
  const error = await promise.then(
    () => new Error("it succeeded"),
    (reason: unknown) => reason,
  );
  assert(isMlxdError(error), String(error));
  return error;
};

const answering =
  (status: number, contentType: string, body: ConstructorParameters<typeof Response>[0] = null): Fetch =>
  async () =>
    new Response(body, { status, headers: { "content-type": contentType } });

const whole = saying("👩‍👩‍👧 한").map((event) =>
  framed(toBinary(StreamGenerateResponseSchema, create(StreamGenerateResponseSchema, event))),
);
const streaming = (...envelopes: readonly Uint8Array[]): Fetch =>
  answering(200, "application/connect+proto", Buffer.concat(envelopes));
const end = framed(Buffer.from("{}"), 2);

describe("an answer over fetch", () => {
  it.each([
    [204, "application/proto", null, "PROTOCOL", "INTERNAL"],
    [200, "text/html", "<h1>proxy</h1>", "PROTOCOL", "INTERNAL"],
    [200, "application/proto", "\xff\xff", "PROTOCOL", "INTERNAL"],
    [502, "text/html", "<h1>proxy</h1>", "CONNECTION", "UNAVAILABLE"],
    [503, "application/json", "<h1>no JSON</h1>", "CONNECTION", "UNAVAILABLE"],
    [403, "application/json", '{"code": 7}', "UNKNOWN", "PERMISSION_DENIED"],
    [404, "application/json; charset=utf-8", '{"code":"not_found","message":"?"}', "UNKNOWN", "NOT_FOUND"],
    [500, "application/json", '{"code":"no_such_code"}', "UNKNOWN", "UNKNOWN"],
    [429, "application/json", '{"code":"resource_exhausted","details":[{"type":1}]}', "CONNECTION", "UNAVAILABLE"],
  ] as const)("of status %s with %s %j is %s", async (status, contentType, body, reason, code) => {
    const error = await failure(clientOf(answering(status, contentType, body)).generate("?"));
    assert.deepEqual([error.reason, error.code], [reason, code], error.message);
  });

  it("may have a type in capital letters", async () => {
    const message = create(GenerateResponseSchema, { result: { candidates: [{ text: "4" }] } });
    const client = clientOf(answering(200, "Application/Proto", new Blob([toBinary(GenerateResponseSchema, message)])));
    assert.equal((await client.generate("?")).text, "4");
  });

  it("that is an error is read no further than readMaxBytes", async () => {
    const body = `{"code":"internal","message":"${"x".repeat(10_000)}"}`;
    const error = await failure(
      clientOf(answering(500, "application/json", body), { readMaxBytes: 1_000 }).generate("?"),
    );
    assert.equal(error.code, "RESOURCE_EXHAUSTED");
  });
});

describe("a stream over fetch", () => {
  it("is whole however it is cut, also in the midst of characters", async () => {
    const bytes = Buffer.concat([...whole, end]);
    for (let size = 1; size < 12; size++) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
        bytes.subarray(at * size, (at + 1) * size),
      );
      const client = clientOf(answering(200, "application/connect+proto", ReadableStream.from(pieces)));
      assert.equal((await client.stream("?").collect()).text, "👩‍👩‍👧 한");
    }
  });

  it.each([
    ["goes on after its end", [...whole, end, end]],
    ["has an end that is no JSON", [...whole, framed(Buffer.from("{"), 2)]],
    ["has an end of another form", [...whole, framed(Buffer.from('{"metadata":{"a":1}}'), 2)]],
    ["has an error of another form", [...whole, framed(Buffer.from('{"error":{"message":1}}'), 2)]],
    ["has a compressed message", [framed(Buffer.from("x"), 1), end]],
  ])("that %s is a PROTOCOL error", async (_, envelopes) => {
    assert.equal(
      (
        await failure(
          clientOf(streaming(...envelopes))
            .stream("?")
            .collect(),
        )
      ).reason,
      "PROTOCOL",
    );
  });

  it.each([
    ["has no end", whole],
    ["breaks off within a message", [Buffer.concat(whole).subarray(0, -1)]],
    ["breaks off within a header", [...whole, Buffer.from([2, 0])]],
    ["has no body", []],
  ])("that %s is a broken connection", async (_, envelopes) => {
    assert.equal(
      (
        await failure(
          clientOf(streaming(...envelopes))
            .stream("?")
            .collect(),
        )
      ).reason,
      "CONNECTION",
    );
  });

  it("that is left is cancelled, and a stream that is iterated twice goes on", async () => {
    let cancelled = 0;
    const body = () =>
      new ReadableStream<Uint8Array>({
        start: (controller) => whole.slice(0, 2).forEach((envelope) => controller.enqueue(envelope)),
        cancel: () => void cancelled++,
      });
    const client = clientOf(
      async () => new Response(body(), { headers: { "content-type": "application/connect+proto" } }),
    );
    for await (const event of client.stream("?")) if (event.type === "chunk") break;
    assert.equal(cancelled, 1);

    const twice = clientOf(streaming(...whole, end)).stream("?");
    assert.equal((await twice.next()).value?.type, "started");
    const rest: string[] = [];
    for await (const { type } of twice) rest.push(type);
    for await (const { type } of twice) rest.push(`again ${type}`);
    assert.deepEqual(rest, ["chunk", "finished"]);
  });
});

describe("a fetch", () => {
  it("that never answers ends with the deadline, whatever it makes of the signal", async () => {
    const client = clientOf(() => new Promise(() => {}));
    assert.equal((await failure(client.generate("?", { timeoutMs: 20 }))).reason, "DEADLINE");
    assert.equal((await failure(client.stream("?", { timeoutMs: 20 }).collect())).reason, "DEADLINE");
    const controller = new AbortController();
    const left = failure(client.generate("?", { signal: controller.signal }));
    controller.abort();
    assert.equal((await left).reason, "CANCELLED");
  });

  it("is not made for a call that was over before it began", async () => {
    let made = 0;
    const client = clientOf(async () => {
      made++;
      return new Response();
    });
    assert.equal((await failure(client.generate("?", { signal: AbortSignal.abort() }))).reason, "CANCELLED");
    assert.equal((await failure(client.stream("?", { signal: AbortSignal.abort() }).collect())).reason, "CANCELLED");
    assert.equal(made, 0);
  });

  it("that throws at once fails the call and nothing else", async () => {
    const client = clientOf(() => {
      throw new TypeError("no fetch here");
    });
    assert.equal((await failure(client.generate("?"))).reason, "CONNECTION");
  });
});
