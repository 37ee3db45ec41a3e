/** Stores the results of smoke tests on disk, so that each revision of a model is tested once. */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { Context, Effect, Layer, Option, Schema, Semaphore } from "effect";

import { ModelsConfig } from "../../config/ModelsConfig.ts";
import { QualityConfig } from "../../config/QualityConfig.ts";
import { splitEnginePrefix } from "../../domain/engine-names.ts";
import type { ModelFacts } from "../../domain/model.ts";
import { modelKey } from "../../domain/model-identity.ts";
import type { SmokeTest } from "../../domain/smoke-test.ts";
import { codeOf } from "../../checkpoint/checkpoint-files.ts";

type Tried = Pick<ModelFacts, "id" | "revision" | "family" | "engine">;

export class SmokeTests extends Context.Service<
  SmokeTests,
  {
    /** The result for the model at this revision; undefined if it was never tested, or with another question. */
    readonly of: (model: Tried) => SmokeTest | undefined;
    /** The failed test because of which the model gets no conversations; undefined if it gets them. */
    readonly blocking: (model: Tried) => SmokeTest | undefined;
    /** Replaces the model's earlier result, whatever its revision. */
    readonly remember: (model: Tried, test: SmokeTest) => Effect.Effect<void>;
  }
>()("mlxd/models/smoke/SmokeTests") {
  static readonly layer = Layer.effect(
    SmokeTests,
    Effect.gen(function* () {
      const { directory } = yield* ModelsConfig;
      const { smokeQuestion: question, smokeAnswers: answers, smokeBlocksChat } = yield* QualityConfig;
      const file = join(directory, ".mlxd", "smoke-tests.json");
      const entries = new Map(yield* Effect.promise(() => read(file)));
      const writing = yield* Semaphore.make(1);
      const testOf = (model: Tried): SmokeTest | undefined => {
        const { test, ...tried } = entries.get(keyOf(model)) ?? {};
        const { revision, family } = model;
        return isDeepStrictEqual(tried, { revision, family, question, answers }) ? test : undefined;
      };
      return SmokeTests.of({
        of: testOf,
        blocking: (model) => {
          const test = smokeBlocksChat ? testOf(model) : undefined;
          return test?.quality === "failed" ? test : undefined;
        },
        remember: Effect.fn("SmokeTests.remember")((model: Tried, test: SmokeTest) =>
          Effect.suspend(() => {
            const { revision, family } = model;
            entries.set(keyOf(model), { revision, family, question, answers, test });
            return Effect.tryPromise(() => write(file, entries));
          }).pipe(
            writing.withPermits(1),
            // The result is kept in memory, and the test runs again after a restart.
            Effect.catch(({ cause }) =>
              Effect.annotateLogs(Effect.logWarning("smoke tests cannot be kept"), { code: codeOf(cause) }),
            ),
          ),
        ),
      });
    }),
  );
}

const keyOf = ({ engine, id }: Tried): string => modelKey(engine, id);

const Entry = Schema.Struct({
  revision: Schema.String,
  family: Schema.String,
  question: Schema.String,
  answers: Schema.Array(Schema.String),
  test: Schema.Struct({
    quality: Schema.Literals(["ok", "degraded", "failed"]),
    reason: Schema.String,
    answer: Schema.String,
    testedAt: Schema.Finite,
    durationMs: Schema.Finite,
  }),
});
type Entry = typeof Entry.Type;
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Record(Schema.String, Entry)));

/** A missing or unreadable file counts as empty: models are then tested again. */
const read = async (file: string): Promise<ReadonlyArray<[string, Entry]>> => {
  const text = await readFile(file, "utf8").catch(() => "{}");
  return Object.entries(Option.getOrElse(decode(text), () => ({}))).map(([key, entry]) => {
    // Older files may use another name of the engine.
    const named = splitEnginePrefix(key);
    return [named === undefined ? key : modelKey(named.engine, named.model), entry];
  });
};

/** Atomic: written to a temporary file and renamed. */
const write = async (file: string, entries: ReadonlyMap<string, Entry>): Promise<void> => {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.part`, `${JSON.stringify(Object.fromEntries(entries), undefined, 2)}\n`);
  await rename(`${file}.part`, file);
};
