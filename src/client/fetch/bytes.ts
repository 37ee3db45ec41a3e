import { Code, ConnectError } from "@connectrpc/connect";

/** Collects bytes up to a limit. The memory is proportional to the bytes, whatever the size of the pieces. */
export class ByteCollector {
  readonly #maxBytes: number;
  #bytes = new Uint8Array(0);
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The bytes so far. */
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

/** Throws if a message is larger than the client accepts. */
export const assertWithin = (bytes: number, maxBytes: number): void => {
  if (bytes <= maxBytes) return;
  throw new ConnectError(`a message of ${bytes} bytes is over readMaxBytes, ${maxBytes}`, Code.ResourceExhausted);
};
