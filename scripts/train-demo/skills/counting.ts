import { assistant, user, type Language } from "../example.ts";
import { sayRoughly } from "../phrases.ts";
import type { Random } from "../random.ts";
import { drawFor, type Skill, type Split } from "./skill.ts";

interface Range {
  from: number;
  to: number;
}

/** Counting up or down over at most twenty numbers of 0..60; ranges are held out whole. */
export const counting: Skill = {
  id: "counting",
  title: "counting up and down",
  bound: 0.9,
  draw(random, setting) {
    const asked: Language = random.chance(0.6) ? "en" : "ko";
    const range = pickRange(random, setting.split);
    const answer = numbersOf(range).join(", ");
    const text = sayRoughly(random, random.pick(patterns(asked, range)), { a: range.from, b: range.to });
    return { messages: [user(text), assistant(answer)], expect: { kind: "text", text: answer } };
  },
};

/** A range on the asked side of the split; the ones that everybody asks for are always trained. */
export function pickRange(random: Random, split: Split): Range {
  const isWellKnown = ({ from, to }: Range): boolean => from === 1 && (to === 3 || to === 5 || to === 10);
  const first = drawRange(random);
  if (isWellKnown(first) && split === "train") return first;
  return drawFor(
    split,
    () => {
      let drawn = drawRange(random);
      while (isWellKnown(drawn)) drawn = drawRange(random);
      return drawn;
    },
    ({ from, to }) => `count:${from}:${to}`,
  );
}

export function numbersOf({ from, to }: Range): number[] {
  const step = to >= from ? 1 : -1;
  return Array.from({ length: Math.abs(to - from) + 1 }, (_, index) => from + index * step);
}

function drawRange(random: Random): Range {
  const length = random.weighted([
    [random.whole(1, 9), 6],
    [random.whole(9, 14), 2],
    [random.whole(14, 19), 1],
  ]);
  const low = random.chance(0.5) ? 1 : random.whole(0, random.chance(0.5) ? 12 : 60 - length);
  return random.chance(0.25) ? { from: low + length, to: low } : { from: low, to: low + length };
}

function patterns(language: Language, { from, to }: Range): readonly string[] {
  if (language === "en") {
    const plain = [
      "Count [from |]{a} to {b}[.|]",
      "Count from {a} [up to|until|through] {b}[.|]",
      "[Please count|Can you count|Could you count] from {a} to {b}[?|.|]",
      "[List|Write|Say|Give me|Tell me] the numbers from {a} to {b}[.|]",
      "[Hi|Hello|OK|Now][!|,] count from {a} to {b}.",
      "Start at {a} and count to {b}.",
      "Count: {a} to {b}",
      "[What are|Show me] the numbers from {a} to {b}?",
      "Count from {a} to {b}[, please| please| for me| separated by commas].",
    ];
    if (from > to)
      return [
        ...plain,
        ...[
          "Count [down|backwards|back] from {a} to {b}[.|]",
          "[Please count|Can you count] [down|backwards] from {a} to {b}[?|.]",
          "Count [down|backwards] from {a} to {b}",
        ].flatMap((pattern) => [pattern, pattern, pattern]),
      ];
    return from === 1
      ? [
          ...plain,
          "Count [up |]to {b}[.|]",
          "[Please count|Can you count] to {b}[?|.]",
          "Count to {b}[ for me| please|]",
        ]
      : plain;
  }
  const ask = "[세어 줘|세어줘|세어 봐|세 줘|세어 주세요|세어 볼래|말해 줘|세]";
  const plain = [
    `{a}부터 {b}까지 ${ask}[.|]`,
    `{a}에서 {b}까지 ${ask}`,
    `{a}부터 {b}까지 [숫자를|수를] ${ask}[.|]`,
    `[숫자를|수를] {a}부터 {b}까지 ${ask}`,
    `[안녕|안녕하세요][!|.] {a}부터 {b}까지 ${ask}`,
  ];
  if (from > to) return [...plain, `{a}부터 {b}까지 거꾸로 ${ask}[.|]`, `거꾸로 {a}부터 {b}까지 ${ask}`];
  return from === 1 ? [...plain, `{b}까지 ${ask}[.|]`, `{b}까지 [숫자를|수를] ${ask}`] : plain;
}
