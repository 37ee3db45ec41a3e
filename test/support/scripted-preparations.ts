/** Preparations that play scripts; for tests of the edge. */
import { Effect, Layer, Stream } from "effect";

import { compatibilityOf } from "../../src/service/domain/compatibility.ts";
import { ModelNotFound, type ServiceError } from "../../src/service/domain/errors.ts";
import type { LoadRequest, PrepareEvent, PrepareRequest } from "../../src/service/domain/preparation.ts";
import type { SmokeTest } from "../../src/service/domain/smoke-test.ts";
import { type LoadResult, Preparations, type PreloadResult } from "../../src/service/pipeline/prepare/Preparations.ts";

export interface PreparationScript {
  /** By default nothing comes. */
  readonly prepare?: (request: PrepareRequest) => Stream.Stream<PrepareEvent, ServiceError>;
  /** By default no model is known. */
  readonly load?: (request: LoadRequest) => Effect.Effect<LoadResult, ServiceError>;
  /** By default nothing comes. */
  readonly preload?: (names: ReadonlyArray<string>) => Stream.Stream<PreloadResult>;
  /** By model id; by default none was ever tried. */
  readonly smokeTests?: Readonly<Record<string, SmokeTest>>;
  /** Ids of models that are given no conversations; by default none. */
  readonly unfit?: ReadonlyArray<string>;
}

export const scriptedPreparations = ({
  prepare = () => Stream.empty,
  load = ({ model }) => Effect.fail(new ModelNotFound({ model, nearest: [] })),
  preload = () => Stream.empty,
  smokeTests = {},
  unfit = [],
}: PreparationScript): Layer.Layer<Preparations> =>
  Layer.succeed(
    Preparations,
    Preparations.of({
      prepare,
      load,
      preload,
      compatibilityOf: (model) => compatibilityOf(model, smokeTests[model.facts.id]),
      smokeTestOf: ({ id }) => smokeTests[id],
      refusesChat: ({ id }) => unfit.includes(id),
    }),
  );
