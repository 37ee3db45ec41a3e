import type { Random } from "./random.ts";

const innermost = /\[([^[\]]*)\]/;

/**
 * Writes one sentence from a pattern the careless ways people type: lower case, no final mark, doubled spaces.
 * `[a|b|]` chooses one of its alternatives (they nest), `{name}` is replaced by `values.name`. Values are filled in last
 * and kept as they are.
 */
export function sayRoughly(random: Random, pattern: string, values: Record<string, string | number> = {}): string {
  let text = chooseWords(random, pattern);
  if (random.chance(0.12)) text = text.replace(/(^|\})[^{]+/g, (part) => part.toLowerCase());
  if (random.chance(0.1)) text = text.replace(/[.?!]$/, "");
  if (random.chance(0.03)) text = text.replace(/ /, "  ");
  if (random.chance(0.03)) text += random.pick(["?", "??", "!", " ", "...", " ?", "\n", " :)"]);
  if (random.chance(0.02)) text = text.replace(/^[^{]+/, (part) => part.toUpperCase());
  return fill(text, values);
}

/** The Korean particle after a number or a Korean word: `particle(12, "은", "는")` is "는" (십이는). */
export function particle(word: string | number, afterConsonant: string, afterVowel: string): string {
  return endsInConsonant(String(word)) ? afterConsonant : afterVowel;
}

function chooseWords(random: Random, pattern: string): string {
  let text = pattern;
  for (;;) {
    const next = text.replace(innermost, (_, body: string) => random.pick(body.split("|")));
    if (next === text) return text;
    text = next;
  }
}

function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\p{L}+)\}/gu, (whole, name: string) => {
    const value = values[name];
    return value === undefined ? whole : String(value);
  });
}

function endsInConsonant(word: string): boolean {
  const last = word.at(-1) ?? "";
  if (/\d/.test(last)) return "013678".includes(last);
  const code = last.charCodeAt(0) - 0xac00;
  if (code >= 0 && code < 11172) return code % 28 !== 0;
  return /[bcdfgklmnpqrt]/i.test(last);
}
