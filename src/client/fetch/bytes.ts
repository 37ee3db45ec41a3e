import { Code, ConnectError } from "@connectrpc/connect";

/** Bytes that arrive piece by piece, up to a limit. Pieces of any size cost about the memory of what has arrived. */
export class ByteCollector {
  readonly #maxBytes: number;
  #bytes = new Uint8Array(0);
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** What has arrived. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  get length(): number {
    return this.#length;
  }

  add(piece: Uint8Array): void {
    const length = this.#length + piece.byteLength;
    assertWithin(length, this.#maxBytes);
    if (length > this.#bytes.byteLength) {
      const larger = new Uint8Array(Math.max(length, Math.min(2 * length, this.#maxBytes)));
      larger.set(this.bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = length;
  }
}

/** Fails where a message is, or says that it will be, larger than the client takes. */
export const assertWithin = (bytes: number, maxBytes: number): void => {
  if (bytes <= maxBytes) return;
  throw new ConnectError(`a message of ${bytes} bytes is over readMaxBytes, ${maxBytes}`, Code.ResourceExhausted);
};
