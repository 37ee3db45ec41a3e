/** Makes models ready: downloads, loads and tests them. */
import { Context, type Effect, type Stream } from "effect";

import type { ServiceError } from "../../domain/errors.ts";
import type { CompatibilityProfile } from "../../domain/compatibility.ts";
import type { ModelStatus, ServedModel } from "../../domain/model.ts";
import type { LoadRequest, PrepareEvent, PrepareReport, PrepareRequest } from "../../domain/preparation.ts";
import type { SmokeTest } from "../../domain/smoke-test.ts";

export interface LoadResult {
  /** Its current state. */
  readonly model: ModelStatus;
  readonly report: PrepareReport;
}

/** The result for one of the models to load. */
export interface PreloadResult {
  /** Its index in the list. */
  readonly index: number;
  /** Its name in the request. */
  readonly name: string;
  readonly report: PrepareReport;
}

export class Preparations extends Context.Service<
  Preparations,
  {
    /**
     * Emits each stage as it begins, with progress and log lines, and one report at the end. If the preparation cannot
     * begin (an invalid or unknown name, or a revision that does not exist) the stream fails; later failures are in the
     * report. Callers for the same model share one preparation, which ends when the last of them leaves.
     */
    readonly prepare: (request: PrepareRequest) => Stream.Stream<PrepareEvent, ServiceError>;
    /**
     * The same for a local model, without a download; both share one preparation. Fails if the model could not be
     * loaded. If its answers are unusable or could not be obtained, the report says so.
     */
    readonly load: (request: LoadRequest) => Effect.Effect<LoadResult, ServiceError>;
    /** Loads one model after another; the report of an unknown name says that it is unknown. */
    readonly preload: (names: ReadonlyArray<string>) => Stream.Stream<PreloadResult>;
    /** A model's default settings and the result of its smoke test. */
    readonly compatibilityOf: (model: ModelStatus) => CompatibilityProfile;
    /** The result of the last test at its current revision; undefined if it was not tested. */
    readonly smokeTestOf: (model: ServedModel) => SmokeTest | undefined;
    /** Whether conversations are refused because of that result. */
    readonly refusesChat: (model: ServedModel) => boolean;
  }
>()("mlxd/pipeline/prepare/Preparations") {}
