/** How models are tested, and what happens to broken answers. */
import { Config, Context, Layer, Schema } from "effect";

export interface QualitySettings {
  /** The question of the smoke test. */
  readonly smokeQuestion: string;
  /** Every correct answer contains one of these. */
  readonly smokeAnswers: ReadonlyArray<string>;
  /** Whether a model that failed its smoke test gets no conversations. */
  readonly smokeBlocksChat: boolean;
  /** Whether a broken answer is generated again if nothing of it was sent. */
  readonly retriesBroken: boolean;
}

/** Tests following instructions, a language and arithmetic at once. */
const defaultQuestion = "한국어로 한 문장만 답해. 2+2는?";
/** The digit, and two Korean words for four. */
const defaultAnswers = ["4", "네", "사"];

const question = Schema.String.check(Schema.isPattern(/\S/), Schema.isMaxLength(4096));

const answersFrom = (text: string): ReadonlyArray<string> =>
  text
    .split(",")
    .map((answer) => answer.trim().normalize("NFC"))
    .filter((answer) => answer !== "");

const answers = Schema.String.check(
  Schema.makeFilter((text) => answersFrom(text).length > 0 || "one answer at least, separated by commas"),
);

export const qualitySettings = Config.all({
  smokeQuestion: Config.schema(question, "MLXD_SMOKE_QUESTION").pipe(Config.withDefault(defaultQuestion)),
  smokeAnswers: Config.schema(answers, "MLXD_SMOKE_ANSWERS").pipe(
    Config.map(answersFrom),
    Config.withDefault(defaultAnswers),
  ),
  smokeBlocksChat: Config.Boolean("MLXD_SMOKE_BLOCKS_CHAT").pipe(Config.withDefault(true)),
  retriesBroken: Config.Boolean("MLXD_RETRY_BROKEN").pipe(Config.withDefault(true)),
});

export class QualityConfig extends Context.Service<QualityConfig, QualitySettings>()("mlxd/config/QualityConfig") {
  static readonly layer = Layer.effect(QualityConfig, qualitySettings);
}
