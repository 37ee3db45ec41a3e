import { brotliCompressSync, gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import { assert, describe, it } from "vitest";

import { GenerateRequestSchema } from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { type Intake, receiveEnvelope, receiveWhole } from "../../../src/service/server/receive-message.ts";
import type { RequestBytes } from "../../../src/service/wire/read-request.ts";
import { envelope } from "../../support/raw-http.ts";
import { assertMatches } from "../../support/assert-matches.ts";
import { detailsOf, errorOf } from "../../support/wire-error.ts";

const maxBytes = 3_000_000;
const light = Buffer.from(toBinary(GenerateRequestSchema, create(GenerateRequestSchema, { task: { model: "demo" } })));
const heavy = Buffer.from(
  toBinary(
    GenerateRequestSchema,
    create(GenerateRequestSchema, { task: { input: { case: "prompt", value: "x".repeat(2_000_000) } } }),
  ),
);

const heavyJson = Buffer.from(JSON.stringify({ task: { prompt: "x".repeat(2_000_000) } }));

const receive = async (
  body: Buffer,
  {
    isWhole = false,
    pieceBytes = 16_384,
    ...changes
  }: Partial<Intake> & { isWhole?: boolean; pieceBytes?: number } = {},
) => {
  const held: RequestBytes[] = [];
  const intake: Intake = {
    schema: GenerateRequestSchema,
    method: "Generate",
    isBinary: true,
    maxBytes,
    compression: undefined,
    hold: (request) => void held.push(request),
    ...changes,
  };
  async function* pieces() {
    for (let at = 0; at < body.length; at += pieceBytes) yield body.subarray(at, at + pieceBytes);
  }
  const given: Uint8Array[] = [];
  const source = isWhole ? receiveWhole(pieces(), undefined, intake) : receiveEnvelope(pieces(), intake);
  for await (const chunk of source) given.push(chunk);
  return { given: Buffer.concat(given), held: held.map(({ bytes }) => nameOf(bytes)) };
};

/** Megabytes are slow to compare, and unreadable where they differ. */
const nameOf = (bytes: Uint8Array): string =>
  [heavy, heavyJson].findIndex((known) => known.equals(bytes)) < 0 ? `${bytes.length} bytes` : "what was sent";

describe("in an envelope", () => {
  it.each([1, 3, 16_384])("a light message goes on as it is, in pieces of %d bytes", async (pieceBytes) => {
    assertMatches(await receive(envelope(light), { pieceBytes }), { given: envelope(light), held: [] });
  });

  it.each([7, 70_000])(
    "a heavy one is held back, and an empty one goes on, in pieces of %d bytes",
    async (pieceBytes) => {
      const { given, held } = await receive(envelope(heavy), { pieceBytes });
      assert.deepStrictEqual(given, envelope(Buffer.alloc(0)));
      assert.deepStrictEqual(held, ["what was sent"]);
    },
  );

  it("a compressed one is weighed by what it has inside", async () => {
    const compressed = Buffer.from(await compressionGzip.compress(heavy));
    const sent = envelope(compressed);
    sent.writeUInt8(1, 0);
    const { given, held } = await receive(sent, { compression: compressionGzip });
    assert.deepStrictEqual(given, envelope(Buffer.alloc(0)));
    assert.deepStrictEqual(held, ["what was sent"]);
  });

  it("one that says that it is too large is refused before it is there", async () => {
    const promised = envelope(light);
    promised.writeUInt32BE(maxBytes + 1, 1);
    const error = await errorOf(receive(promised));
    assert.strictEqual(error.code, Code.ResourceExhausted);
    assert.include(error.rawMessage, `has ${maxBytes + 1} bytes; it may have ${maxBytes} bytes at most`);
  });

  it("is refused at the first byte behind it", async () => {
    const error = await errorOf(receive(Buffer.concat([envelope(light), Buffer.from([0])])));
    assert.strictEqual(error.code, Code.Unimplemented);
  });

  it("is passed on as it is where it ends too early, for Connect to say so", async () => {
    const cut = envelope(light).subarray(0, -1);
    assertMatches(await receive(cut), { given: cut, held: [] });
    const prefix = envelope(light).subarray(0, 3);
    assertMatches(await receive(prefix), { given: prefix, held: [] });
    assert.deepStrictEqual(await receive(Buffer.alloc(0)), { given: Buffer.alloc(0), held: [] });
  });
});

describe("without an envelope", () => {
  it("a light message goes on, and a heavy one is held back", async () => {
    assert.deepStrictEqual(await receive(light, { isWhole: true }), { given: light, held: [] });
    assert.deepStrictEqual(await receive(heavy, { isWhole: true }), {
      given: Buffer.alloc(0),
      held: ["what was sent"],
    });
    assert.deepStrictEqual(await receive(heavyJson, { isWhole: true, isBinary: false }), {
      given: Buffer.from("{}"),
      held: ["what was sent"],
    });
  });

  it("a compressed one is never larger inside than may be", async () => {
    const bomb = Buffer.from(await compressionGzip.compress(Buffer.alloc(maxBytes + 1)));
    const error = await receive(bomb, { isWhole: true, compression: compressionGzip }).then(
      () => undefined,
      (cause: unknown) => ConnectError.from(cause),
    );
    assert.strictEqual(error?.code, Code.ResourceExhausted);
  });
});

describe("compressed", () => {
  const whole = gzipSync(light);
  const flagged = (body: Buffer) => {
    const message = Buffer.from(envelope(body));
    message[0] = 1;
    return message;
  };
  it.each([
    ["cut", compressionGzip, whole.subarray(0, -9)],
    ["cut in its head", compressionGzip, whole.subarray(0, 5)],
    ["no gzip", compressionGzip, Buffer.from("no gzip at all")],
    ["asking for a dictionary", compressionGzip, Buffer.from([0x78, 0x20, 1, 2, 3, 4])],
    ["cut in Brotli", compressionBrotli, brotliCompressSync(light).subarray(0, -4)],
    ["no Brotli", compressionBrotli, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff])],
  ] as const)(
    "a message that is %s is the caller's fault, with and without an envelope",
    async (_, compression, body) => {
      for (const refused of [
        await errorOf(receive(body, { isWhole: true, compression })),
        await errorOf(receive(flagged(body), { compression })),
      ]) {
        assert.strictEqual(refused.code, Code.InvalidArgument);
        assert.strictEqual(detailsOf(refused).info?.reason, "MALFORMED_REQUEST");
        assert.include(refused.rawMessage, `cannot be decompressed as ${compression.name}`);
      }
    },
  );
});
