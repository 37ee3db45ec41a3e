import { assert } from "@effect/vitest";
import { Effect } from "effect";

import type { Engine } from "../../../../src/service/engine/Engine.ts";
import { Engines } from "../../../../src/service/engine/Engines.ts";
import { byteVocabulary } from "../../../support/byte-tokenizer.ts";
import { facts } from "../../../support/tasks.ts";
import { writeRandomCheckpoint } from "../../worker/random-checkpoint.ts";
import { mlxEngines } from "../../../support/mlx-engines.ts";
import { engineRequest } from "../../../support/engine-request.ts";

const shape = { modelType: "qwen2", hiddenSize: 32, layers: 2, heads: 4, kvHeads: 2, vocabularySize: 256 } as const;
const mebibyte = 1024 ** 2;
const budget = { kvCacheBytes: 16 * mebibyte, prefixCacheBytes: 8 * mebibyte };

const lanes = 8;

/** A sequence after the other, each of another length, so that rows come and go and the cache grows and shrinks. */
const lane = Effect.fnUntraced(function* (engine: Engine, number: number, onToken: () => boolean) {
  let goesOn = true;
  for (let turn = 0; goesOn; turn++) {
    const length = 5 + ((turn * 37 + number * 11) % 300);
    yield* engine.generate(
      {
        ...engineRequest(`${number}-${turn}`, { maxOutputTokens: 50 + ((turn * 101 + number * 53) % 700) }),
        promptTokenIds: Array.from({ length }, (_, place) => (turn * 13 + number * 7 + place * 3) % 256),
        eosTokenIds: [],
      },
      (event) => {
        if (event.type === "output" && event.tokenIds.length > 0) goesOn = onToken();
      },
    );
  }
});

interface Tokens {
  readonly total: number;
  /** After which what is resident counts as held for good. */
  readonly warmUp: number;
}

/** Generates tokens in batches of 8 and asserts that the engine stays inside its cache budgets and, once warm, does not grow. */
export const assertFlatMemory = ({ total, warmUp }: Tokens) =>
  Effect.gen(function* () {
    const directory = writeRandomCheckpoint(shape);
    const engine = yield* (yield* Engines).start(
      facts({ directory, contextLength: 4096 }),
      byteVocabulary,
      { allowed: true, directory: undefined },
      Effect.void,
      1024 ** 3,
    );
    let tokens = 0;
    let atWarm = 0;
    let peak = 0;
    const look = Effect.map(engine.status, ({ residentBytes, kvCacheBytes, prefixCacheBytes }) => {
      assert.isAtMost(kvCacheBytes, budget.kvCacheBytes);
      assert.isAtMost(prefixCacheBytes, budget.prefixCacheBytes);
      if (tokens < warmUp) atWarm = Math.max(atWarm, residentBytes);
      else peak = Math.max(peak, residentBytes);
    });
    const watch = Effect.forever(Effect.andThen(look, Effect.sleep("50 millis")));
    const onToken = (): boolean => {
      tokens += 1;
      return tokens < total;
    };
    yield* Effect.raceFirst(
      Effect.forEach(Array.from({ length: lanes }).keys().toArray(), (number) => lane(engine, number, onToken), {
        concurrency: lanes,
        discard: true,
      }),
      watch,
    );
    assert.isAtLeast(tokens, total);
    // What the allocator and V8 keep may differ by some pages; a leak of 100 bytes a token would be 14 MB of 140,000 tokens.
    assert.isAtMost(peak - atWarm, 12 * mebibyte, `from ${atWarm} to ${peak} bytes`);
  }).pipe(Effect.scoped, Effect.provide(mlxEngines(budget)));
