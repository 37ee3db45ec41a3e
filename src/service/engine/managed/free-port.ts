/** A port of this machine that nobody listens on, for a server that has to be told one. */
import { createServer } from "node:net";
import { Effect } from "effect";

export const loopback = "127.0.0.1";

/** Another program may take it until the server does: it then ends, and is started with another one. */
export const freePort: Effect.Effect<number, Error> = Effect.callback((resume) => {
  const server = createServer();
  server.listen(0, loopback, () => {
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    server.close(() => resume(Effect.succeed(port)));
  });
  server.on("error", (cause) => resume(Effect.fail(cause)));
});
