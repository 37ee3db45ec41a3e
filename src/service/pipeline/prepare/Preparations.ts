/** Making models ready: download, load, try. */
import { Context, type Effect, type Stream } from "effect";

import type { ServiceError } from "../../domain/errors.ts";
import type { CompatibilityProfile } from "../../domain/compatibility.ts";
import type { ModelStatus, ServedModel } from "../../domain/model.ts";
import type { LoadRequest, PrepareEvent, PrepareReport, PrepareRequest } from "../../domain/preparation.ts";
import type { SmokeTest } from "../../domain/smoke-test.ts";

export interface LoadResult {
  /** As it is now. */
  readonly model: ModelStatus;
  readonly report: PrepareReport;
}

/** What came of one of the models that were to be loaded. */
export interface PreloadResult {
  /** Its place in the list. */
  readonly index: number;
  /** As it was asked for. */
  readonly name: string;
  readonly report: PrepareReport;
}

export class Preparations extends Context.Service<
  Preparations,
  {
    /**
     * Each stage as it is entered, with progress and log lines, and one report at the end. What keeps it from beginning
     * - a name that nothing can have, an unknown one, a revision that is not there - fails the stream; all that goes
     * wrong later is in the report. Callers for the same model share one preparation, which ends with the last of them.
     */
    readonly prepare: (request: PrepareRequest) => Stream.Stream<PrepareEvent, ServiceError>;
    /**
     * The same for a model that is here, without a download: one preparation serves both. Fails where the model is not
     * loaded in the end; that its answers are of no use, or could not be had, is in the report.
     */
    readonly load: (request: LoadRequest) => Effect.Effect<LoadResult, ServiceError>;
    /** Loads one after another; of a name that no model has the report says so. */
    readonly preload: (names: ReadonlyArray<string>) => Stream.Stream<PreloadResult>;
    /** What a model is run with, and how it did. */
    readonly compatibilityOf: (model: ModelStatus) => CompatibilityProfile;
    /** How a model did when it was last tried at its revision; undefined when it never was. */
    readonly smokeTestOf: (model: ServedModel) => SmokeTest | undefined;
    /** Whether it is given no conversations for how it did then. */
    readonly refusesChat: (model: ServedModel) => boolean;
  }
>()("mlxd/pipeline/prepare/Preparations") {}
