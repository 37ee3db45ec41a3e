/** How models are tried, and what becomes of answers that are of no use. */
import { Config, Context, Layer, Schema } from "effect";

export interface QualitySettings {
  /** Asked of a model that is tried. */
  readonly smokeQuestion: string;
  /** One of them is in every right answer, however it is put. */
  readonly smokeAnswers: ReadonlyArray<string>;
  /** Whether a model that failed its smoke test is given no conversations. */
  readonly smokeBlocksChat: boolean;
  /** Whether a broken answer of which nothing was sent is generated anew. */
  readonly retriesBroken: boolean;
}

/** An instruction, a language and a sum at once. */
const defaultQuestion = "한국어로 한 문장만 답해. 2+2는?";
/** The digit, and the number four in two spellings. */
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
