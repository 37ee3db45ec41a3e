/** Finds a free port of this machine for a server that needs its port as an argument. */
import { createServer } from "node:net";
import { Effect } from "effect";

export const loopback = "127.0.0.1";

/**
 * Another program may take the port before the server does. The server then ends and is restarted with another port.
 */
export const freePort: Effect.Effect<number, Error> = Effect.callback((resume) => {
  const server = createServer();
  server.listen(0, loopback, () => {
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    server.close(() => resume(Effect.succeed(port)));
  });
  server.on("error", (cause) => resume(Effect.fail(cause)));
});
