import { assert, describe, it } from "@effect/vitest";
import { Effect, Layer } from "effect";

import { ModelNotFound } from "../../../../src/service/domain/errors.ts";
import { Models } from "../../../../src/service/models/Models.ts";
import { locateModel } from "../../../../src/service/pipeline/prepare/locate-model.ts";

/** A catalog that has no model. */
const empty = Layer.mock(Models)({
  get: (name: string) => Effect.fail(new ModelNotFound({ model: name, nearest: [] })),
});
const locate = (asked: string) => Effect.flatMap(Models, (models) => locateModel(models, asked, ""));

describe("where a model is to be had that is not here", () => {
  it.effect("is the repository of a short name", () =>
    Effect.gen(function* () {
      for (const asked of ["gpt-oss-20b", " mlx:GPT-OSS-20b "]) {
        const place = yield* locate(asked);
        assert.deepInclude(place, {
          type: "hub",
          id: "mlx-community--gpt-oss-20b-MXFP4-Q8",
          repository: "mlx-community/gpt-oss-20b-MXFP4-Q8",
        });
        assert.deepInclude(place.resolution, {
          inputId: asked,
          engine: "local_mlx",
          resolvedModel: "mlx-community/gpt-oss-20b-MXFP4-Q8",
          downloadId: "mlx-community/gpt-oss-20b-MXFP4-Q8",
          loadId: "mlx-community/gpt-oss-20b-MXFP4-Q8",
        });
      }
    }).pipe(Effect.provide(empty)),
  );

  it.effect("is a repository as it is written", () =>
    Effect.map(locate("Org/Some-Model"), (place) =>
      assert.deepInclude(place, { type: "hub", repository: "Org/Some-Model" }),
    ).pipe(Effect.provide(empty)),
  );

  it.effect("is nowhere for other names, and for short names of other engines", () =>
    Effect.gen(function* () {
      for (const asked of ["gpt-oss-21b", "ollama:gpt-oss-20b"]) {
        assert.strictEqual((yield* Effect.flip(locate(asked)))._tag, "ModelNotFound", asked);
      }
    }).pipe(Effect.provide(empty)),
  );
});
