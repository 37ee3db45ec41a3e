/** A socket in the file system in place of a port. */
import { once } from "node:events";
import { access, constants, lstat, unlink } from "node:fs/promises";
import { connect, type Server } from "node:net";
import { dirname } from "node:path";

/** Why a socket cannot be listened on, as Node's codes say it. */
class SocketError extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** Throws with the code of what is in the way; what can be cleared away is. */
export const prepareSocket = async (path: string): Promise<void> => {
  // libuv reports EACCES if the folder does not exist.
  await access(dirname(path), constants.W_OK);
  await clearStaleSocket(path);
};

/**
 * Removes a socket file that a process has left behind that was killed. Throws EADDRINUSE where somebody listens there, and ENOTSOCK for a file that
 * is something else.
 */
const clearStaleSocket = async (path: string): Promise<void> => {
  const found = await lstat(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return undefined;
    throw cause;
  });
  if (found === undefined) return;
  if (!found.isSocket()) throw new SocketError("ENOTSOCK");
  const socket = connect(path);
  try {
    await once(socket, "connect");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== "ECONNREFUSED" && code !== "ENOENT") throw cause;
    await unlink(path).catch((gone: NodeJS.ErrnoException) => {
      if (gone.code !== "ENOENT") throw gone;
    });
    return;
  } finally {
    socket.destroy();
  }
  throw new SocketError("EADDRINUSE");
};

/** The file has its mode from its first moment on. */
export const listenOnSocket = async (server: Server, path: string, mode: number): Promise<void> => {
  await prepareSocket(path);
  const before = process.umask(0o777 & ~mode);
  try {
    server.listen(path); // makes the file before it returns
  } finally {
    process.umask(before);
  }
  await once(server, "listening");
};
