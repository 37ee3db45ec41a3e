import { assertWithin, ByteCollector } from "./bytes.ts";

/** A message of a stream, or its end: https://connectrpc.com/docs/protocol#streaming-rpcs */
export interface Envelope {
  /** Bit 0: the data is compressed. Bit 1: the data is the end of the stream, in JSON. */
  readonly flags: number;
  readonly data: Uint8Array;
}

const headerBytes = 5;

/** A message with its header: one byte of flags, four bytes of length. */
export const encodeEnvelope = (data: Uint8Array): Uint8Array<ArrayBuffer> => {
  const envelope = new Uint8Array(headerBytes + data.byteLength);
  new DataView(envelope.buffer).setUint32(1, data.byteLength);
  envelope.set(data, headerBytes);
  return envelope;
};

/** Splits the bytes of a stream into envelopes. Refuses one that is too large as soon as its header has arrived. */
export class EnvelopeDecoder {
  readonly #maxBytes: number;
  #header = new ByteCollector(headerBytes);
  #data: ByteCollector | undefined;
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The envelopes that this piece completes. */
  *take(piece: Uint8Array): Generator<Envelope, void, undefined> {
    for (let at = 0; at < piece.byteLength;) {
      if (this.#data === undefined) {
        const end = at + headerBytes - this.#header.length;
        this.#header.add(piece.subarray(at, end));
        at = end;
        if (this.#header.length < headerBytes) return;
        const { buffer, byteOffset } = this.#header.bytes;
        this.#length = new DataView(buffer, byteOffset).getUint32(1);
        assertWithin(this.#length, this.#maxBytes);
        this.#data = new ByteCollector(this.#maxBytes);
      }
      const end = at + this.#length - this.#data.length;
      this.#data.add(piece.subarray(at, end));
      at = end;
      if (this.#data.length < this.#length) return;
      yield { flags: this.#header.bytes[0] ?? 0, data: this.#data.bytes };
      this.#header = new ByteCollector(headerBytes);
      this.#data = undefined;
    }
  }
}
