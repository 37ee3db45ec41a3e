import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";

import type { Driver } from "../../../src/service/engine/Engine.ts";
import { driverOf } from "../../../src/service/engine/drivers.ts";
import type { Vocabulary } from "../../../src/service/prompt/Vocabulary.ts";
import { byteVocabulary } from "../../support/byte-tokenizer.ts";
import { idleEngine } from "../../support/idle-engine.ts";
import { facts } from "../../support/tasks.ts";

describe("a model's engine", () => {
  const engines = { a: idleEngine(), b: idleEngine() };
  const driver = (name: "a" | "b"): Driver => ({ start: () => Effect.succeed(engines[name]) });
  const drivers = driverOf({ a: driver("a"), b: driver("b") });
  const start = (engine: string, vocabulary: Vocabulary = byteVocabulary) =>
    drivers.start(facts({ engine }), vocabulary, { allowed: false, directory: undefined }, Effect.void);

  it.effect("is started by the driver that its facts name", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* start("a"), engines.a);
      assert.strictEqual(yield* start("b"), engines.b);
    }),
  );

  it.effect("that no driver has is told by its name, with those that there are", () =>
    Effect.gen(function* () {
      for (const name of ["c", "toString"]) {
        const error = yield* Effect.flip(start(name));
        assert.deepInclude(error, { _tag: "EngineUnavailable", engine: name });
        assert.include(error.message, "there are a, b");
      }
    }),
  );
});
