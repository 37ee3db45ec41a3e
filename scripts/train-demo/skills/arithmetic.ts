import { assistant, user, type Language } from "../example.ts";
import type { Random } from "../random.ts";
import { answerTo, askFor, type Question, type Sum } from "./arithmetic-phrases.ts";
import { drawFor, type Exchange, type Setting, type Skill, type Split } from "./skill.ts";

/** Sums and differences of numbers from 0 to 99: pairs are held out whole, in every phrasing (sums in either order). */
export const sums: readonly Skill[] = [
  createSkill("sum-en", "sums to 99, in English", 0.95, (...context) => drawSum("+", "en", ...context)),
  createSkill("sum-ko", "sums to 99, in Korean", 0.95, (...context) => drawSum("+", "ko", ...context)),
  createSkill("difference-en", "differences to 99, in English", 0.95, (...context) => drawSum("-", "en", ...context)),
  createSkill("difference-ko", "differences to 99, in Korean", 0.95, (...context) => drawSum("-", "ko", ...context)),
];

/** Products of numbers from 0 to 12: a times table is learned by heart, so pairs are held out per phrasing. */
export const products: readonly Skill[] = [
  createSkill("product-en", "products to 12 × 12, in English", 0.9, (...context) => drawProduct("en", ...context)),
  createSkill("product-ko", "products to 12 × 12, in Korean", 0.9, (...context) => drawProduct("ko", ...context)),
];

/** Two numbers to add or subtract on the asked side of the split. */
export function pickSum(random: Random, split: Split, operation: "+" | "-"): Sum {
  const draw = (): Sum => {
    const small = random.chance(0.25);
    return {
      left: random.whole(0, small ? 20 : 99),
      operation,
      right: random.whole(0, small || random.chance(0.15) ? 12 : 99),
    };
  };
  // Sums such as 2 + 2 are what everyone asks first: they are always trained, never measured.
  const isTiny = (sum: Sum): boolean => sum.left <= 5 && sum.right <= 5;
  const first = draw();
  if (isTiny(first) && split === "train") return first;
  return drawFor(
    split,
    () => {
      let drawn = draw();
      while (isTiny(drawn)) drawn = draw();
      return drawn;
    },
    ({ left, right }) =>
      operation === "+" ? `+:${Math.min(left, right)}:${Math.max(left, right)}` : `-:${left}:${right}`,
  );
}

/** A question on the asked side of the split for a product. */
export function askForProduct(random: Random, split: Split, language: Language, numberOnly?: number): [Question, Sum] {
  return drawFor<[Question, Sum]>(
    split,
    () => {
      const drawn: Sum = { left: random.whole(0, 12), operation: "*", right: random.whole(0, 12) };
      return [askFor(random, drawn, language, numberOnly), drawn];
    },
    ([{ pattern }, { left, right }]) => `*:${left}:${right}:${pattern}`,
  );
}

export function resultOf({ left, operation, right }: Sum): number {
  switch (operation) {
    case "+":
      return left + right;
    case "-":
      return left - right;
    case "*":
      return left * right;
    case "/":
      return left / right;
  }
}

function createSkill(id: string, title: string, bound: number, draw: Skill["draw"]): Skill {
  return { id, title, bound, draw };
}

function drawSum(operation: "+" | "-", language: Language, random: Random, setting: Setting): Exchange {
  const sum = pickSum(random, setting.split, operation);
  return answer(setting, askFor(random, sum, language, setting.numberOnly), sum);
}

function drawProduct(language: Language, random: Random, setting: Setting): Exchange {
  return answer(setting, ...askForProduct(random, setting.split, language, setting.numberOnly));
}

function answer(setting: Setting, question: Question, sum: Sum): Exchange {
  const result = String(resultOf(sum));
  const text = answerTo({ ...question, language: setting.answerIn ?? question.language }, sum, result);
  return { messages: [user(question.text), assistant(text)], expect: { kind: "number", value: result } };
}
