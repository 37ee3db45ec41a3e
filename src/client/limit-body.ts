import { Code, ConnectError } from "@connectrpc/connect";

/**
 * The same response, which fails where a message of it is larger than this many bytes: as soon as it says so, not when
 * it has been taken into memory.
 */
export const limitBody = (response: Response, maxBytes: number): Response => {
  if (response.body === null) return response;
  const isStream = response.headers.get("content-type")?.startsWith("application/connect+") ?? false;
  const check = isStream ? new EnvelopeCheck(maxBytes) : new SizeCheck(maxBytes);
  const { status, statusText, headers } = response;
  const body = response.body.pipeThrough(
    new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform: (bytes, controller) => {
        check.take(bytes);
        controller.enqueue(bytes);
      },
    }),
  );
  return new Response(body, { status, statusText, headers });
};

const tooLarge = (bytes: number, maxBytes: number): ConnectError =>
  new ConnectError(`a message of ${bytes} bytes is over readMaxBytes, ${maxBytes}`, Code.ResourceExhausted);

/** Of one message: all of the body. */
class SizeCheck {
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  take(bytes: Uint8Array): void {
    this.#bytes += bytes.byteLength;
    if (this.#bytes > this.#maxBytes) throw tooLarge(this.#bytes, this.#maxBytes);
  }
}

/** Of a stream: each message has a byte of flags and four of its length before it. */
class EnvelopeCheck {
  readonly #maxBytes: number;
  #header: number[] = [];
  #left = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  take(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength;) {
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, bytes.byteLength - at);
        this.#left -= skipped;
        at += skipped;
        continue;
      }
      this.#header.push(bytes[at++] ?? 0);
      if (this.#header.length < 5) continue;
      const [, a = 0, b = 0, c = 0, d = 0] = this.#header;
      this.#left = ((a * 256 + b) * 256 + c) * 256 + d;
      this.#header = [];
      if (this.#left > this.#maxBytes) throw tooLarge(this.#left, this.#maxBytes);
    }
  }
}
