import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";

import type { TokenEngine } from "../../../src/service/engine/Engine.ts";
import type { ConversationDriver, Driver } from "../../../src/service/engine/Engines.ts";
import { enginesOf } from "../../../src/service/engine/drivers.ts";
import type { Vocabulary } from "../../../src/service/prompt/Vocabulary.ts";
import { byteVocabulary } from "../../support/byte-tokenizer.ts";
import { idleEngine } from "../../support/idle-engine.ts";
import { facts } from "../../support/tasks.ts";

describe("a model's engine", () => {
  const idle = (): TokenEngine => ({ ...idleEngine(), generate: () => Effect.void });
  const engines = { a: idle(), b: idle() };
  const driver = (name: "a" | "b"): Driver => ({ version: `${name}1`, start: () => Effect.succeed(engines[name]) });
  const other = { version: "9" } as ConversationDriver;
  const drivers = enginesOf({ a: driver("a"), b: driver("b") }, { other });
  const start = (engine: string, vocabulary: Vocabulary = byteVocabulary) =>
    drivers.start(facts({ engine }), vocabulary, { allowed: false, directory: undefined }, Effect.void, 1024 ** 3);

  it.effect("is started by the driver that its facts name", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* start("a")).cancel, engines.a.cancel);
      assert.strictEqual((yield* start("b")).cancel, engines.b.cancel);
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

  it("has the version of its driver, and none where there is no driver", () => {
    assert.deepStrictEqual(["a", "b", "other", "c", "toString"].map(drivers.versionOf), ["a1", "b1", "9", "", ""]);
  });
});
