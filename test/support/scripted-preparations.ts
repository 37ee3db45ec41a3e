/** Preparations that play scripts; for tests of the edge. */
import { Layer, Stream } from "effect";

import type { ServiceError } from "../../src/service/domain/errors.ts";
import type { PrepareEvent, PrepareRequest, SmokeTest } from "../../src/service/domain/preparation.ts";
import { Preparations } from "../../src/service/pipeline/prepare/Preparations.ts";

export interface PreparationScript {
  /** By default nothing comes. */
  readonly prepare?: (request: PrepareRequest) => Stream.Stream<PrepareEvent, ServiceError>;
  /** By model id; by default none was ever tried. */
  readonly smokeTests?: Readonly<Record<string, SmokeTest>>;
  /** Ids of models that are given no conversations; by default none. */
  readonly unfit?: ReadonlyArray<string>;
}

export const scriptedPreparations = ({
  prepare = () => Stream.empty,
  smokeTests = {},
  unfit = [],
}: PreparationScript): Layer.Layer<Preparations> =>
  Layer.succeed(
    Preparations,
    Preparations.of({ prepare, smokeTestOf: ({ id }) => smokeTests[id], refusesChat: ({ id }) => unfit.includes(id) }),
  );
