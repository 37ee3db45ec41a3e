/** A request body that is sent in pieces, so that a server that does not read it is detected. */
import type { BackendSettings } from "../../config/read-backends.ts";

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
  text: string,
  timeOuts: TimeOuts,
  abort: (reason: SendingTimedOut) => void,
): WatchedBody => {
  const body = Buffer.from(text);
  const within = (ms: number, code: SendingTimedOut["code"]) => setTimeout(() => abort(new SendingTimedOut(code)), ms);
  // undici asks for the first piece as soon as it has a connection, which it may have to open first.
  let timer = within(timeOuts.connectTimeoutMs + timeOuts.poolTimeoutMs, "MLXD_POOL_TIMEOUT");
  const stop = () => clearTimeout(timer);
  // undici asks for each piece when the previous one was sent.
  async function* pieces(): AsyncGenerator<Uint8Array> {
    try {
      for (let at = 0; at < body.length; at += pieceBytes) {
        stop();
        timer = within(timeOuts.writeTimeoutMs, "MLXD_WRITE_TIMEOUT");
        yield body.subarray(at, at + pieceBytes);
      }
    } finally {
      stop();
    }
  }
  return { bytes: body.length, pieces: pieces(), stop };
};

const pieceBytes = 64 * 1024;
