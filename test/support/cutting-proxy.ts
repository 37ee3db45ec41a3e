/** A TCP proxy that cuts connections, as networks do. */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface CuttingProxy {
  readonly url: string;
  /** Connections that were cut by their number of bytes. */
  readonly cuts: () => number;
  /** Cuts all connections, and passes new ones on to this port. */
  readonly lead: (port: number) => void;
  readonly close: () => void;
}

/**
 * Passes bytes on to a server of this machine.
 *
 * @param bytesOf how many bytes of the server each connection brings before it is cut
 */
export const startCuttingProxy = async (
  port: number,
  bytesOf: () => number = () => Number.POSITIVE_INFINITY,
): Promise<CuttingProxy> => {
  let target = port;
  let cuts = 0;
  const sockets = new Set<Socket>();
  const server = createServer((caller) => {
    const upstream = connect(target, "127.0.0.1");
    for (const socket of [caller, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        caller.destroy();
        upstream.destroy();
      });
    }
    let left = bytesOf();
    upstream.on("data", (bytes: Buffer) => {
      caller.write(bytes.subarray(0, left));
      left -= bytes.length;
      if (left > 0) return;
      cuts += 1;
      caller.destroySoon();
      upstream.destroy();
    });
    caller.pipe(upstream);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cutAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cuts: () => cuts,
    lead: (to) => {
      target = to;
      cutAll();
    },
    close: () => {
      cutAll();
      server.close();
    },
  };
};
