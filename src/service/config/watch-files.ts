/** Hearing that a file has changed, however it is written: in place, by a rename, or by a link that points elsewhere. */
import { unwatchFile, watchFile } from "node:fs";
import { Effect, Queue, type Scope } from "effect";

/** Links' targets and renamed files are seen only by looking at the path: the system's own events follow what was there before. */
const intervalMs = 1000;

/** Runs `onChange` after each change of one of the files, until the scope closes; a second change meanwhile runs it once more. */
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
