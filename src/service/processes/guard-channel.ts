/**
 * Protects the service from garbage on the IPC channel of a process that it has started. Node reads the channel and
 * throws into the event loop if the data is not a valid message, so one process with corrupt memory would end the
 * service and everything else. With this guard only that process is killed.
 */
import type { ChildProcess } from "node:child_process";

interface ChannelHandle {
  onread: (this: unknown, ...read: ReadonlyArray<unknown>) => unknown;
}

/** Larger than any valid message: a longer one is garbage and would never be complete. */
const maxMessageBytes = 512 * 1024 ** 2;

/** @param onGarbage called once, before the process is killed */
export const guardChannel = (child: ChildProcess, onGarbage: (what: string) => void): void => {
  const handle = handleOf(child);
  if (handle === undefined) return;
  const { onread } = handle;
  let unread = 0;
  let isOver = false;
  child.on("message", () => (unread = 0));
  const end = (what: string): void => {
    if (isOver) return;
    isOver = true;
    onGarbage(what);
    child.kill("SIGKILL");
  };
  handle.onread = function guarded(...read) {
    const [bytes] = read;
    // Node itself handles the end of the channel, however the process ends.
    if (!(bytes instanceof ArrayBuffer)) return onread.apply(this, [...read]);
    // Data that it wrote before it was killed is ignored.
    if (isOver) return undefined;
    unread += bytes.byteLength;
    if (unread > maxMessageBytes) return end(`a message of more than ${maxMessageBytes} bytes`);
    try {
      return onread.apply(this, [...read]);
    } catch (cause) {
      return end(`what is no message: ${cause instanceof Error ? cause.message : String(cause)}`);
    }
  };
};

/** Node has no public name for it. Undefined if there is no channel, or if this Node keeps it elsewhere. */
const handleOf = (child: ChildProcess): ChannelHandle | undefined => {
  const symbol = Object.getOwnPropertySymbols(child).find(({ description }) => description === "kChannelHandle");
  return symbol === undefined ? undefined : (child as unknown as Record<symbol, ChannelHandle | undefined>)[symbol];
};
