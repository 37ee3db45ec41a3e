import type { Language } from "./example.ts";
import type { Random } from "./random.ts";
import type { Segment } from "./render.ts";
import { answerTo, askFor, type Question, type Sum } from "./skills/arithmetic-phrases.ts";
import { askForProduct, pickSum, resultOf } from "./skills/arithmetic.ts";
import { numbersOf, pickRange } from "./skills/counting.ts";
import { drawFor } from "./skills/skill.ts";
import { wordKey } from "./skills/spelling-and-repeating.ts";
import { casedWord, koreanWord } from "./skills/words.ts";

/** How often each kind of sheet comes up. */
export interface ExerciseWeights {
  arithmetic: number;
  spelling: number;
  counting: number;
  copying: number;
}

/**
 * A sheet of exercises in place of a conversation: answers without their questions, line by line, so that calculating,
 * spelling, counting and copying are practised several times as often as conversations have room for. Only what follows
 * from the rest of the line is learned. What is held out from conversations is held out here.
 */
export function drawSheet(random: Random, weights: ExerciseWeights): Segment[] {
  const drawLine = random.weighted([
    [arithmeticLine, weights.arithmetic],
    [spellingLine, weights.spelling],
    [countingLine, weights.counting],
    [copyingLine, weights.copying],
  ]);
  const lines = drawLine === arithmeticLine ? 10 : 6;
  return Array.from({ length: lines }, () => drawLine(random)).flatMap(([given, learned]) => [
    { text: given, learned: false },
    { text: learned, learned: true },
    // Also where to stop.
    { text: "\n", learned: true },
  ]);
}

type Line = [given: string, learned: string];

function arithmeticLine(random: Random): Line {
  const operation = random.weighted([["+", 4] as const, ["-", 5] as const, ["*", 2] as const]);
  const language = random.chance(0.5) ? "en" : "ko";
  if (random.chance(0.3)) return numberLine(random, operation, language);
  const sum: Sum =
    operation === "*"
      ? { left: random.whole(0, 12), operation, right: random.whole(0, 12) }
      : pickSum(random, "train", operation);
  const result = String(resultOf(sum));
  const answer = answerTo({ language, style: "sentence" }, sum, result);
  return splitAt(answer, answer.lastIndexOf(` ${result}`));
}

/** A question for only the number: it has to be calculated without writing down the expression first. */
function numberLine(random: Random, operation: "+" | "-" | "*", language: Language): Line {
  const ask = (): [Question, Sum] => {
    if (operation === "*") return askForProduct(random, "train", language, 1);
    const sum = pickSum(random, "train", operation);
    return [askFor(random, sum, language, 1), sum];
  };
  const [question, sum] = ask();
  return [`${question.text}\n`, String(resultOf(sum))];
}

function spellingLine(random: Random): Line {
  const word = drawFor("train", () => casedWord(random), wordKey);
  const letters = [...word].join("-");
  return random.chance(0.7) ? [`${word} is spelled`, ` ${letters}.`] : [`${word}의 철자는`, ` ${letters}입니다.`];
}

function countingLine(random: Random): Line {
  const range = pickRange(random, "train");
  const numbers = numbersOf(range).join(", ");
  const name = random.chance(0.5) ? `${range.from} to ${range.to}` : `${range.from}부터 ${range.to}까지`;
  return [`${name}\n`, numbers];
}

/** A few words and numbers, then the same again. */
function copyingLine(random: Random): Line {
  const item = (): string =>
    random.weighted<() => string>([
      [() => drawFor("train", () => casedWord(random), wordKey), 5],
      [() => drawFor("train", () => koreanWord(random), wordKey), 3],
      [() => String(random.whole(0, 99_999)), 2],
    ])();
  const items = Array.from({ length: random.whole(1, 4) }, item).join(random.pick([", ", " ", "*", ": "]));
  return [`${items}\n`, items];
}

function splitAt(text: string, index: number): Line {
  return [text.slice(0, index), text.slice(index)];
}
