/** The process around the service: how it says that it is ready, and how it ends. */
import { Cause, Effect, Exit, Runtime } from "effect";

import { Server } from "./server/Server.ts";

/** Tells on standard output where the service listens, with a first call to try. */
export const announce = Effect.gen(function* () {
  const { host, port, scheme } = (yield* Server).address;
  const url = `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
  process.stdout.write(
    `mlxd is ready at ${url}\n` +
      `try: curl ${url}/mlxd.v1.GenerationService/Generate --json ` +
      `'{"task":{"chat":{"messages":[{"role":"ROLE_USER","content":[{"text":"What is 2+2?"}]}]}}}'\n`,
  );
});

/**
 * The last resort: what was thrown into the event loop, past every guard, leaves a state that nobody knows. It is logged,
 * calls that run may finish, and the process ends with 1, so that its supervisor starts another one.
 */
export const strayException = Effect.callback<never>((resume) => {
  process.on("uncaughtException", (cause) => resume(Effect.die(cause)));
}).pipe(Effect.tapCause((cause) => Effect.logFatal("an exception that nothing caught: draining, then ending", cause)));

/** SIGTERM and SIGINT end the program by closing its scopes: drain first, engines last. A second one ends it at once. */
const main = Runtime.makeRunMain(({ fiber, teardown }) => {
  const stop = (): void => {
    fiber.interruptUnsafe();
    process.once("SIGINT", () => process.exit(130));
    process.once("SIGTERM", () => process.exit(143));
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  // Effect's runtime keeps no handle of its own on the event loop.
  const alive = setInterval(() => {}, 2 ** 30);
  fiber.addObserver((exit) => {
    clearInterval(alive);
    teardown(exit, (code) => process.exit(code));
  });
});

/** Runs the program until it is told to end, or cannot go on. */
export const runMain = <A, E>(program: Effect.Effect<A, E>): void =>
  main(program, {
    disableErrorReporting: true,
    // Being told to end is not a failure.
    teardown: (exit, onExit) => onExit(Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause) ? 1 : 0),
  });
