/** Shares work that several callers may request at the same time. */
import { Deferred, Effect, type Exit, Fiber, type Scope } from "effect";

export interface SharedRuns<Event, A, E> {
  /**
   * Runs `start`, or joins the current run with the same key and first receives its events so far. The run is
   * interrupted when its last caller leaves; a caller that comes during the interruption waits for its end and starts a
   * new run.
   */
  readonly join: (
    key: string,
    start: (emit: (event: Event) => void) => Effect.Effect<A, E>,
    onEvent: (event: Event) => void,
  ) => Effect.Effect<A, E>;
}

interface Run<Event, A, E> {
  readonly past: Event[];
  readonly listeners: Set<(event: Event) => void>;
  readonly result: Deferred.Deferred<A, E>;
  fiber: Fiber.Fiber<unknown, unknown> | undefined;
  callers: number;
  isLeft: boolean;
}

/**
 * The runs belong to the scope.
 *
 * @param replaces whether `next` makes `last`, the event before it, superfluous for callers who join later
 */
export const makeSharedRuns = <Event, A, E>(
  replaces: (last: Event, next: Event) => boolean,
): Effect.Effect<SharedRuns<Event, A, E>, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const runs = new Map<string, Run<Event, A, E>>();

    const begin = Effect.fnUntraced(function* (
      key: string,
      start: (emit: (event: Event) => void) => Effect.Effect<A, E>,
    ) {
      const run: Run<Event, A, E> = {
        past: [],
        listeners: new Set(),
        result: Deferred.makeUnsafe(),
        fiber: undefined,
        callers: 0,
        isLeft: false,
      };
      runs.set(key, run);
      const emit = (event: Event): void => {
        const last = run.past.at(-1);
        if (last !== undefined && replaces(last, event)) run.past.pop();
        run.past.push(event);
        for (const listener of run.listeners) listener(event);
      };
      run.fiber = yield* Effect.suspend(() => start(emit)).pipe(
        Effect.interruptible,
        Effect.onExit((exit: Exit.Exit<A, E>) =>
          Effect.sync(() => {
            runs.delete(key);
            Deferred.doneUnsafe(run.result, exit);
          }),
        ),
        Effect.forkIn(scope),
      );
      return run;
    });

    const leave = (run: Run<Event, A, E>, listener: (event: Event) => void) =>
      Effect.suspend(() => {
        run.listeners.delete(listener);
        run.callers -= 1;
        if (run.callers > 0 || run.fiber === undefined) return Effect.void;
        run.isLeft = true;
        return Fiber.interrupt(run.fiber);
      });

    const join: SharedRuns<Event, A, E>["join"] = (key, start, onEvent) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          let run = runs.get(key);
          while (run?.isLeft === true) {
            yield* restore(Effect.exit(Deferred.await(run.result)));
            run = runs.get(key);
          }
          run ??= yield* begin(key, start);
          // Wrapped, because the same function may be passed twice.
          const listener = (event: Event): void => onEvent(event);
          run.callers += 1;
          for (const event of run.past) listener(event);
          run.listeners.add(listener);
          return yield* Effect.ensuring(restore(Deferred.await(run.result)), leave(run, listener));
        }),
      );
    return { join };
  });
