import { assert, describe, it } from "@effect/vitest";
import { ConfigProvider, Effect } from "effect";

import { QualityConfig } from "../../../src/service/config/QualityConfig.ts";

const read = (environment: Record<string, string>) =>
  QualityConfig.pipe(
    Effect.provide(QualityConfig.layer, { local: true }),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: environment })),
  );

describe("the settings of how models are tried", () => {
  it.effect("have the documented question and answers as defaults", () =>
    Effect.gen(function* () {
      assert.deepEqual(yield* read({}), {
        smokeQuestion: "한국어로 한 문장만 답해. 2+2는?",
        smokeAnswers: ["4", "네", "사"],
        smokeBlocksChat: true,
        retriesBroken: true,
      });
    }),
  );

  it.effect("are the operator's, answers apart by commas and in composed letters", () =>
    Effect.gen(function* () {
      const settings = yield* read({
        MLXD_SMOKE_QUESTION: "What is the capital of France?",
        MLXD_SMOKE_ANSWERS: ` Paris ,, ${"파리".normalize("NFD")}`,
        MLXD_SMOKE_BLOCKS_CHAT: "false",
        MLXD_RETRY_BROKEN: "no",
      });
      assert.deepEqual(settings, {
        smokeQuestion: "What is the capital of France?",
        smokeAnswers: ["Paris", "파리"],
        smokeBlocksChat: false,
        retriesBroken: false,
      });
    }),
  );

  const refused: ReadonlyArray<readonly [string, string]> = [
    ["MLXD_SMOKE_QUESTION", "  "],
    ["MLXD_SMOKE_QUESTION", "x".repeat(4097)],
    ["MLXD_SMOKE_ANSWERS", " , "],
    ["MLXD_SMOKE_BLOCKS_CHAT", "perhaps"],
    ["MLXD_RETRY_BROKEN", "perhaps"],
  ];
  for (const [name, value] of refused) {
    it.effect(`refuse ${name}=${JSON.stringify(value.slice(0, 10))}`, () =>
      Effect.gen(function* () {
        assert.include((yield* Effect.flip(read({ [name]: value }))).message, name);
      }),
    );
  }
});
