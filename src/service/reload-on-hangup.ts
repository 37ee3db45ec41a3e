/** On SIGHUP, reads the catalog and the access configuration again; errors are logged by them. */
import { Effect, Layer, Queue, Stream } from "effect";

import { Access } from "./access/Access.ts";
import { Models } from "./models/Models.ts";

export const reloadOnHangup = Layer.effectDiscard(
  Effect.gen(function* () {
    const models = yield* Models;
    const access = yield* Access;
    const hangups = Stream.callback<void>((queue) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const onHangup = () => void Queue.offerUnsafe(queue, undefined);
          process.on("SIGHUP", onHangup);
          return onHangup;
        }),
        (onHangup) => Effect.sync(() => process.off("SIGHUP", onHangup)),
      ),
    );
    yield* Effect.forkScoped(
      Stream.runForEach(hangups, () => Effect.andThen(access.reload, Effect.ignore(models.reload))),
    );
  }),
);
