/**
 * What comes over the channel of a process that the service has started is read by Node, which throws into the event loop where it is no
 * message: one process that writes garbage, as its memory is broken, would end the service and all others with it. Here such
 * a process is ended alone.
 */
import type { ChildProcess } from "node:child_process";

interface ChannelHandle {
  onread: (this: unknown, ...read: ReadonlyArray<unknown>) => unknown;
}

/** More than any message has that is meant: what claims to be longer never ends. */
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
    // The end of the channel is Node's to hear, however the process ends.
    if (!(bytes instanceof ArrayBuffer)) return onread.apply(this, [...read]);
    // What it wrote before it was killed is nobody's any more.
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

/** Node has no name for it that is public. Undefined where there is no channel, or a Node that keeps it elsewhere. */
const handleOf = (child: ChildProcess): ChannelHandle | undefined => {
  const symbol = Object.getOwnPropertySymbols(child).find(({ description }) => description === "kChannelHandle");
  return symbol === undefined ? undefined : (child as unknown as Record<symbol, ChannelHandle | undefined>)[symbol];
};
