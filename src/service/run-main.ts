/** The process around the service: how it reports that it is ready, and how it ends. */
import { Cause, Effect, Exit, Runtime } from "effect";

import { Server } from "./server/Server.ts";

/** Prints on standard output where the service listens, with a first call to try. */
export const announce = Effect.gen(function* () {
  const { socket, host, port, scheme } = (yield* Server).address;
  const url = `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
  const place = socket === undefined ? url : `unix:${socket}`;
  const called = socket === undefined ? url : `--unix-socket '${socket}' http://localhost`;
  process.stdout.write(
    `mlxd is ready at ${place}\n` +
      `try: curl ${called}/mlxd.v1.GenerationService/Generate --json ` +
      `'{"task":{"chat":{"messages":[{"role":"ROLE_USER","content":[{"text":"What is 2+2?"}]}]}}}'\n`,
  );
});

/**
 * The last resort. An exception that reached the event loop past every guard leaves an unknown state: it is logged,
 * running calls may finish, and the process exits with 1, so that its supervisor starts another one.
 */
export const strayException = Effect.callback<never>((resume) => {
  process.on("uncaughtException", (cause) => resume(Effect.die(cause)));
}).pipe(Effect.tapCause((cause) => Effect.logFatal("an exception that nothing caught: draining, then ending", cause)));

/**
 * SIGTERM and SIGINT end the program by closing its scopes: first the drain, last the engines. A second signal ends it
 * immediately.
 */
const main = Runtime.makeRunMain(({ fiber, teardown }) => {
  const stop = (): void => {
    fiber.interruptUnsafe();
    process.once("SIGINT", () => process.exit(130));
    process.once("SIGTERM", () => process.exit(143));
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  // Effect's runtime does not keep the event loop alive.
  const alive = setInterval(() => {}, 2 ** 30);
  fiber.addObserver((exit) => {
    clearInterval(alive);
    teardown(exit, (code) => process.exit(code));
  });
});

/** Runs the program until it is told to end or fails. */
export const runMain = <A, E>(program: Effect.Effect<A, E>): void =>
  main(program, {
    disableErrorReporting: true,
    // Being told to end is not a failure.
    teardown: (exit, onExit) => onExit(Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause) ? 1 : 0),
  });
