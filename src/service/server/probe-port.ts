/** Whether the service will be able to listen, asked before it loads what it serves: that may take minutes. */
import { once } from "node:events";
import { createServer } from "node:net";
import { Effect } from "effect";

import { ListenFailed } from "./ListenFailed.ts";

interface Address {
  readonly host: string;
  /** 0, for any, is always there. */
  readonly port: number;
}

/** Listens and stops at once. Between this and the real thing another program may take the port; then that fails. */
export const probePort = ({ host, port }: Address): Effect.Effect<void, ListenFailed> =>
  Effect.tryPromise({
    try: async () => {
      const server = createServer((socket) => socket.destroy());
      server.listen(port, host);
      await once(server, "listening");
      server.close();
      await once(server, "close");
    },
    catch: (error) => new ListenFailed({ host, port, code: codeOf(error) }),
  });

/** Node's code of an error, such as EADDRINUSE. */
export const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : String(error);
