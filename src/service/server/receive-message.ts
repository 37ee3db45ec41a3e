/**
 * Reads the single request message of a call before Connect does. Connect decodes messages on the main thread; a
 * message that takes long to decode is held back here for the sandbox, and Connect gets an empty one instead.
 */
import type { DescMessage } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Compression } from "@connectrpc/connect/protocol";

import { errorInfo } from "../rpc/error-details.ts";
import { connectErrorFrom } from "../rpc/error-to-wire.ts";
import type { RequestBytes } from "../wire/read-request.ts";
import { isHeavy } from "../wire/request-weight.ts";

export interface Intake {
  readonly schema: DescMessage;
  /** Name of the method, for errors. */
  readonly method: string;
  readonly isBinary: boolean;
  /** The largest allowed message in bytes, compressed or not. */
  readonly maxBytes: number;
  /** The compression of the message; undefined if there is none or it is unknown. */
  readonly compression: Compression | undefined;
  /** Receives a message that is held back, before Connect gets the empty one. */
  readonly hold: (request: RequestBytes) => void;
}

type Body = AsyncIterable<Uint8Array>;

/** A byte of flags and four bytes of length. */
const prefixBytes = 5;
const compressedFlag = 1;

/**
 * A message in an envelope, as in gRPC, gRPC-Web and Connect's streams. Fails at the first byte after it: Connect would
 * wait for a second message to arrive completely before rejecting it, for as long as the peer likes.
 */
export async function* receiveEnvelope(body: Body, intake: Intake): AsyncGenerator<Uint8Array> {
  const received = new Received();
  let isWhole = false;
  for await (const chunk of body) {
    received.add(chunk);
    const { length } = received;
    if (!isWhole && length !== undefined) {
      if (length > intake.maxBytes) throw tooLarge(length, intake.maxBytes);
      isWhole = received.bytes >= prefixBytes + length;
      if (isWhole) yield* envelopeOf(received.take(prefixBytes + length), intake);
    }
    if (isWhole && received.bytes > 0) {
      const problem = `the request goes on behind its message; ${intake.method} takes one`;
      throw new ConnectError(problem, Code.Unimplemented);
    }
  }
  // Connect reports an incomplete message.
  if (!isWhole && received.bytes > 0) yield received.take(received.bytes);
}

/** The whole body of a unary Connect call. */
export async function* receiveWhole(
  body: Body,
  contentLength: number | undefined,
  intake: Intake,
): AsyncGenerator<Uint8Array> {
  const { maxBytes, compression } = intake;
  if (contentLength !== undefined && contentLength > maxBytes) throw tooLarge(contentLength, maxBytes);
  const received = new Received();
  for await (const chunk of body) {
    received.add(chunk);
    if (received.bytes > maxBytes) throw tooLarge(undefined, maxBytes);
  }
  const sent = received.take(received.bytes);
  const message =
    compression === undefined || sent.length === 0 ? sent : await decompressed(sent, compression, maxBytes);
  yield decodedHere(message, intake);
}

async function* envelopeOf(envelope: Buffer, intake: Intake): AsyncGenerator<Uint8Array> {
  const { compression, maxBytes } = intake;
  const flags = envelope.readUInt8(0);
  const sent = envelope.subarray(prefixBytes);
  const isCompressed = (flags & compressedFlag) !== 0;
  // Connect also reports a message that it cannot decompress.
  if (isCompressed && (compression === undefined || sent.length === 0)) {
    yield envelope;
    return;
  }
  const message = isCompressed && compression !== undefined ? await decompressed(sent, compression, maxBytes) : sent;
  const given = decodedHere(message, intake);
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt8(flags & ~compressedFlag, 0);
  prefix.writeUInt32BE(given.length, 1);
  yield prefix;
  yield given;
}

/** Connect would report truncated compressed data, and some other errors of zlib, as the service's fault. */
const decompressed = async (sent: Uint8Array, { name, decompress }: Compression, maxBytes: number) => {
  try {
    return await decompress(sent, maxBytes);
  } catch (cause) {
    if (cause instanceof ConnectError && cause.code === Code.ResourceExhausted) throw cause;
    throw connectErrorFrom({
      code: Code.InvalidArgument,
      message: `the request's message cannot be decompressed as ${name}, which its headers name`,
      details: [errorInfo("MALFORMED_REQUEST", {})],
      metadata: {},
    });
  }
};

/** The message itself, or the empty one if it is held back. */
const decodedHere = (message: Uint8Array, { schema, isBinary, hold }: Intake): Uint8Array => {
  if (!isHeavy(schema, message, isBinary)) return message;
  hold({ bytes: message, isBinary });
  return isBinary ? new Uint8Array() : emptyJson;
};

const emptyJson = Buffer.from("{}");

/**
 * Buffers received bytes without taking more memory than their number, however small the pieces. Most messages arrive
 * in one piece, which is kept without copying.
 */
class Received {
  readonly #pieces: Buffer[] = [];
  /** The last block, which small pieces are copied into, and how much of it is filled. */
  #block = Buffer.alloc(0);
  #filled = 0;
  bytes = 0;

  add(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    if (this.bytes === chunk.length || chunk.length >= blockBytes) {
      this.#closeBlock();
      this.#pieces.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
      return;
    }
    if (this.#filled + chunk.length > this.#block.length) {
      this.#closeBlock();
      this.#block = Buffer.allocUnsafe(blockBytes);
    }
    this.#block.set(chunk, this.#filled);
    this.#filled += chunk.length;
  }

  /** The length in an envelope's prefix; undefined until it has arrived. */
  get length(): number | undefined {
    if (this.bytes < prefixBytes) return undefined;
    const first = this.#pieces[0];
    const head = first !== undefined && first.length >= prefixBytes ? first : this.#joined();
    return head.readUInt32BE(1);
  }

  /** Removes and returns the first bytes. */
  take(bytes: number): Buffer {
    const all = this.#joined();
    this.#pieces[0] = all.subarray(bytes);
    this.bytes = all.length - bytes;
    return all.subarray(0, bytes);
  }

  #joined(): Buffer {
    this.#closeBlock();
    const [first] = this.#pieces;
    const all = this.#pieces.length === 1 && first !== undefined ? first : Buffer.concat(this.#pieces);
    this.#pieces.splice(0, Infinity, all);
    return all;
  }

  #closeBlock(): void {
    if (this.#filled > 0) this.#pieces.push(this.#block.subarray(0, this.#filled));
    this.#block = Buffer.alloc(0);
    this.#filled = 0;
  }
}

const blockBytes = 65_536;

/** @param bytes undefined if not all were received */
const tooLarge = (bytes: number | undefined, maxBytes: number): ConnectError => {
  const size = bytes === undefined ? "is larger" : `has ${bytes} bytes`;
  return connectErrorFrom({
    code: Code.ResourceExhausted,
    message: `the request's message ${size}; it may have ${maxBytes} bytes at most (MLXD_MAX_MESSAGE_BYTES)`,
    details: [errorInfo("MESSAGE_TOO_LARGE", {})],
    metadata: {},
  });
};
