/** Watches a file for changes, however it is written: in place, by a rename, or by changing a link. */
import { unwatchFile, watchFile } from "node:fs";
import { Effect, Queue, type Scope } from "effect";

/** Polls the path, because the system's events follow the original file and miss renames and changed link targets. */
const intervalMs = 1000;

/**
 * Runs `onChange` after each change of one of the files, until the scope closes. A change during a run leads to one
 * more run.
 */
export const watchFiles = (
  paths: ReadonlyArray<string>,
  onChange: Effect.Effect<void>,
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const changes = yield* Queue.sliding<void>(1);
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const listener = () => void Queue.offerUnsafe(changes, undefined);
        for (const path of paths) watchFile(path, { interval: intervalMs, persistent: false }, listener);
        return listener;
      }),
      (listener) =>
        Effect.sync(() => {
          for (const path of paths) unwatchFile(path, listener);
        }),
    );
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Queue.take(changes), onChange)));
  });
