/** Checks that models' files are the same as when their facts were read. */
import { Effect } from "effect";

import { ModelChanged } from "../../domain/errors.ts";
import type { ModelFacts } from "../../domain/model.ts";
import type { Sandbox } from "../../sandbox/Sandbox.ts";
import { runReading } from "./read-sandboxed.ts";

/**
 * Also fails if the files cannot be read any more: reading them again will show why. A sandbox process that was killed
 * from outside says nothing about the files.
 */
export const assertUnchanged = (
  sandbox: Sandbox["Service"],
  model: ModelFacts,
  draft: Pick<ModelFacts, "directory" | "revision"> | undefined,
): Effect.Effect<void, ModelChanged> =>
  Effect.forEach(
    draft === undefined ? [model] : [model, draft],
    ({ directory, revision }) =>
      runReading(sandbox, "readRevision", directory).pipe(
        Effect.catch(({ reason }) =>
          Effect.succeed(reason === "crashed" || reason === "killed" ? revision : undefined),
        ),
        Effect.flatMap((now) =>
          now === revision ? Effect.void : Effect.fail(new ModelChanged({ model: model.id, retryAfterMs })),
        ),
      ),
    { discard: true },
  );

/** The files may still be being written. */
const retryAfterMs = 1_000;
