/** Transfers one file from the hub to the disk, resuming an earlier attempt. */
import { constants, type FileHandle, open } from "node:fs/promises";

import { HubError } from "./hub-error.ts";

export interface Transfer {
  /** The incomplete file. It is kept whatever happens. */
  readonly partial: string;
  /** Size of the whole file in bytes. */
  readonly size: number;
  readonly open: (fromByte: number, signal: AbortSignal) => Promise<Response>;
  /** Called with the bytes of the file that are on disk. */
  readonly onBytes: (bytes: number) => void;
  /** A connection that delivers nothing for this long is dropped. */
  readonly stallMs: number;
}

/**
 * Makes one attempt. Rejects with a HubError if the transfer was cut off, and with the system's error if the disk
 * fails. When it resolves the bytes are on disk; their checksum still has to be verified.
 */
export const transferFile = async (transfer: Transfer, signal: AbortSignal): Promise<void> => {
  const file = await open(transfer.partial, constants.O_RDWR | constants.O_CREAT);
  try {
    await writeRest(file, transfer, signal);
    await file.sync();
  } finally {
    await file.close();
  }
};

const writeRest = async (file: FileHandle, transfer: Transfer, signal: AbortSignal): Promise<void> => {
  const { size, onBytes, stallMs } = transfer;
  let written = await resumableBytes(file, size);
  onBytes(written);
  if (written === size) return;
  using stall = createStall(stallMs, signal);
  const response = await begin(file, transfer, written, stall.signal);
  if (response.status !== 206) {
    await file.truncate(0);
    written = 0;
  }
  try {
    for await (const chunk of bodyOf(response)) {
      stall.refresh();
      if (written + chunk.length > size) throw await tooLong(file, size);
      await writeAll(file, chunk, written);
      written += chunk.length;
      onBytes(written);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw isOfDisk(error) || error instanceof HubError ? error : new HubError("the connection was cut");
  }
  if (written < size) throw new HubError("the connection was cut");
};

/** A nearly full disk accepts part of a write and refuses the next one. */
const writeAll = async (file: FileHandle, chunk: Uint8Array, position: number): Promise<void> => {
  for (let done = 0; done < chunk.length;) {
    done += (await file.write(chunk, done, chunk.length - done, position + done)).bytesWritten;
  }
};

const resumableBytes = async (file: FileHandle, size: number): Promise<number> => {
  const { size: present } = await file.stat();
  if (present <= size) return present;
  await file.truncate(0);
  return 0;
};

/** Starts the file again if the hub does not support resuming. */
const begin = async (file: FileHandle, { open }: Transfer, from: number, signal: AbortSignal): Promise<Response> => {
  try {
    const response = await open(from, signal);
    if (response.status !== 206 || startOf(response) === from) return response;
    await response.body?.cancel();
    throw new HubError("the hub sent another part of the file than was asked for", { status: 416 });
  } catch (error) {
    if (error instanceof HubError && error.status === 416) await file.truncate(0);
    throw error;
  }
};

const startOf = ({ headers }: Response): number | undefined => {
  const start = /^bytes (\d+)-/.exec(headers.get("content-range") ?? "")?.[1];
  return start === undefined ? undefined : Number(start);
};

const tooLong = async (file: FileHandle, size: number): Promise<HubError> => {
  await file.truncate(0);
  return new HubError(`the hub sent more than the ${size} bytes that it tells of`);
};

async function* bodyOf({ body }: Response): AsyncGenerator<Uint8Array> {
  if (body !== null) yield* body;
}

/** Errors of file system calls have a `syscall`; those of sockets are wrapped by `fetch`. */
const isOfDisk = (error: unknown): boolean =>
  error instanceof Error &&
  "syscall" in error &&
  ["write", "ftruncate", "fsync", "fstat"].includes(String(error.syscall));

interface Stall extends Disposable {
  /** Fires with the caller's signal, and if nothing was received for too long. */
  readonly signal: AbortSignal;
  readonly refresh: () => void;
}

const createStall = (stallMs: number, signal: AbortSignal): Stall => {
  const controller = new AbortController();
  const timer = setTimeout(
    () => controller.abort(new HubError(`nothing came from the hub for ${stallMs} ms`)),
    stallMs,
  );
  return {
    signal: AbortSignal.any([signal, controller.signal]),
    refresh: () => void timer.refresh(),
    [Symbol.dispose]: () => clearTimeout(timer),
  };
};
