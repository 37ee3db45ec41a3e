/** Making models ready: download, load, try. */
import { Context, type Stream } from "effect";

import type { ServiceError } from "../../domain/errors.ts";
import type { ModelFacts } from "../../domain/model.ts";
import type { PrepareEvent, PrepareRequest, SmokeTest } from "../../domain/preparation.ts";

export class Preparations extends Context.Service<
  Preparations,
  {
    /**
     * Each stage as it is entered, with progress and log lines, and one report at the end. What keeps it from beginning
     * - a name that nothing can have, an unknown one, a revision that is not there - fails the stream; all that goes
     * wrong later is in the report. Callers for the same model share one preparation, which ends with the last of them.
     */
    readonly prepare: (request: PrepareRequest) => Stream.Stream<PrepareEvent, ServiceError>;
    /** How a model did when it was last tried at its revision; undefined when it never was. */
    readonly smokeTestOf: (model: ModelFacts) => SmokeTest | undefined;
    /** Whether it is given no conversations for how it did then. */
    readonly refusesChat: (model: ModelFacts) => boolean;
  }
>()("mlxd/pipeline/prepare/Preparations") {}
