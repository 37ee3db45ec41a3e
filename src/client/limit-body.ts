import { Code, ConnectError } from "@connectrpc/connect";

/**
 * The same response, which fails where a message of it is larger than this many bytes: as soon as it says so, not when
 * it has been taken into memory.
 */
export const limitBody = async (response: Response, maxBytes: number, onReader: OnReader): Promise<Response> => {
  if (response.body === null) return response;
  const isStream = response.headers.get("content-type")?.startsWith("application/connect+") ?? false;
  return isStream
    ? limitStream(response, response.body, maxBytes, onReader)
    : readWhole(response, response.body, maxBytes);
};

/** Told how to cancel what reads a stream. */
type OnReader = (cancel: () => Promise<void>) => void;

type Body = ReadableStream<Uint8Array<ArrayBuffer>>;

/** Looks at what its reader reads. A pipe of our own around it would not always tell the source that nobody reads any more. */
const limitStream = (response: Response, body: Body, maxBytes: number, onReader: OnReader): Response => {
  const check = new EnvelopeCheck(maxBytes);
  const getReader = body.getReader.bind(body) as () => ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  const getCheckedReader = () => {
    const reader = getReader();
    onReader(() => reader.cancel());
    const read = reader.read.bind(reader);
    reader.read = async () => {
      const result = await read();
      if (result.done) return result;
      try {
        check.take(result.value);
      } catch (cause) {
        void reader.cancel(cause).catch(() => {});
        throw cause;
      }
      return result;
    };
    return reader;
  };
  Object.defineProperty(body, "getReader", { value: getCheckedReader });
  return response;
};

/** One message: all of the body, which is small enough to be held. */
const readWhole = async (response: Response, body: Body, maxBytes: number): Promise<Response> => {
  const reader = body.getReader();
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.byteLength;
    if (bytes > maxBytes) {
      const cause = tooLarge(bytes, maxBytes);
      void reader.cancel(cause).catch(() => {});
      throw cause;
    }
    pieces.push(value);
  }
  const { status, statusText, headers } = response;
  return new Response(pieces.length === 0 ? null : new Blob(pieces), { status, statusText, headers });
};

const tooLarge = (bytes: number, maxBytes: number): ConnectError =>
  new ConnectError(`a message of ${bytes} bytes is over readMaxBytes, ${maxBytes}`, Code.ResourceExhausted);

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
