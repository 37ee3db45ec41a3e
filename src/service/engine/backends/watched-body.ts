/** A request's body that is sent in pieces, so that a server which does not read it is noticed. */
import type { BackendSettings } from "../../config/read-backends.ts";

export interface WatchedBody {
  readonly bytes: number;
  readonly pieces: AsyncIterable<Uint8Array>;
  /** Ends the watch. */
  readonly stop: () => void;
}

/** What ends a request that is not sent in time. */
export class SendingTimedOut extends Error {
  readonly code: "MLXD_POOL_TIMEOUT" | "MLXD_WRITE_TIMEOUT";

  constructor(code: SendingTimedOut["code"]) {
    super("the request was not sent in time");
    this.code = code;
  }
}

type TimeOuts = Pick<BackendSettings, "connectTimeoutMs" | "poolTimeoutMs" | "writeTimeoutMs">;

/** @param abort called once, where no connection is free in time or none of the body is taken for long */
export const watchedBody = (
  text: string,
  timeOuts: TimeOuts,
  abort: (reason: SendingTimedOut) => void,
): WatchedBody => {
  const body = Buffer.from(text);
  const within = (ms: number, code: SendingTimedOut["code"]) => setTimeout(() => abort(new SendingTimedOut(code)), ms);
  // The first piece is asked for as soon as there is a connection, which may have to be made first.
  let timer = within(timeOuts.connectTimeoutMs + timeOuts.poolTimeoutMs, "MLXD_POOL_TIMEOUT");
  const stop = () => clearTimeout(timer);
  // undici asks for each piece when the one before it has left.
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
