/** A request body that is sent in pieces, so that a server that does not read it is detected. */
import type { BackendSettings } from "../../config/read-backends.ts";
import type { RequestBody } from "./RequestImages.ts";

export interface WatchedBody {
  readonly bytes: number;
  readonly pieces: AsyncIterable<Uint8Array>;
  /** Ends the watch. */
  readonly stop: () => void;
}

/** The request could not be sent in time. */
export class SendingTimedOut extends Error {
  readonly code: "MLXD_POOL_TIMEOUT" | "MLXD_WRITE_TIMEOUT";

  constructor(code: SendingTimedOut["code"]) {
    super("the request was not sent in time");
    this.code = code;
  }
}

type TimeOuts = Pick<BackendSettings, "connectTimeoutMs" | "poolTimeoutMs" | "writeTimeoutMs">;

/**
 * @param abort called once, if no connection is free in time, or if the server reads nothing of the body for too long
 */
export const watchedBody = (
  parts: RequestBody,
  timeOuts: TimeOuts,
  abort: (reason: SendingTimedOut) => void,
): WatchedBody => {
  const encoded = parts.map((part) => (typeof part === "string" ? Buffer.from(part) : new Base64(part)));
  const within = (ms: number, code: SendingTimedOut["code"]) => setTimeout(() => abort(new SendingTimedOut(code)), ms);
  // undici asks for the first piece as soon as it has a connection, which it may have to open first.
  let timer = within(timeOuts.connectTimeoutMs + timeOuts.poolTimeoutMs, "MLXD_POOL_TIMEOUT");
  const stop = () => clearTimeout(timer);
  // undici asks for each piece when the previous one was sent.
  async function* pieces(): AsyncGenerator<Uint8Array> {
    try {
      for (const part of encoded) {
        for (let at = 0; at < part.length; at += pieceBytes) {
          stop();
          timer = within(timeOuts.writeTimeoutMs, "MLXD_WRITE_TIMEOUT");
          yield part.subarray(at, at + pieceBytes);
        }
      }
    } finally {
      stop();
    }
  }
  return { bytes: encoded.reduce((sum, { length }) => sum + length, 0), pieces: pieces(), stop };
};

/** Bytes in base64, of which only the part is made that is asked for. Parts have to begin at a multiple of 4. */
class Base64 {
  readonly length: number;
  private readonly data: Buffer;

  constructor({ buffer, byteOffset, byteLength }: Uint8Array) {
    this.data = Buffer.from(buffer, byteOffset, byteLength);
    this.length = Math.ceil(byteLength / 3) * 4;
  }

  subarray(begin: number, end: number): Buffer {
    return Buffer.from(
      this.data.toString("base64", (begin / 4) * 3, Math.min((end / 4) * 3, this.data.length)),
      "latin1",
    );
  }
}

const pieceBytes = 64 * 1024;
