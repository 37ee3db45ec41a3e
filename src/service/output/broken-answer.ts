/** Detects from its text that an answer went wrong, while the answer can still be discarded. */

/**
 * Describes what is wrong with a text; undefined if nothing is. Unlike a smoke test, which knows its question, this
 * must not mistake a good answer for a broken one. So repetition counts only if it makes up most of the text, which
 * excludes indented code and ruled lines, and nothing counts that also occurs in the conversation.
 *
 * @param specials the model's special tokens: they are removed as tokens, so text that is spelled like one was written
 *   as text
 */
export const brokenness = (
  text: string,
  conversation: string,
  specials: ReadonlySet<string> = new Set(),
): string | undefined =>
  leakage(text, conversation, specials) ??
  (dominates(longestLoop(text, conversation), text) ? "runaway repetition" : undefined) ??
  (dominates(repeatedLength(text, conversation), text) ? "severe repetition" : undefined);

/**
 * Special tokens in the spelling of vocabularies: `<|eot_id|>`. Operators of programming languages between bars do not
 * match.
 */
const specialToken = /<\|\w{1,40}\|>/gu;
const roleLabel = /^\s*(?:assistant|system|user)\s*:/i;

const leakage = (text: string, conversation: string, specials: ReadonlySet<string>): string | undefined => {
  const strange = (text.match(specialToken) ?? []).filter((token) => !specials.has(token));
  if (strange.some((token) => !conversation.includes(token))) return "special token leakage";
  return roleLabel.test(text) ? "role marker leakage" : undefined;
};

const dominates = (length: number, text: string): boolean => length > 0 && length * 2 >= text.length;

/** In UTF-16 units, like all lengths here. */
const maxUnitLength = 20;
const runawayRepeats = 7;

/** The length of the longest stretch that repeats one short unit. */
const longestLoop = (text: string, conversation: string): number => {
  let longest = 0;
  for (let unit = 1; unit <= maxUnitLength; unit++) {
    let same = 0;
    for (let at = unit; at <= text.length; at++) {
      if (at < text.length && text[at] === text[at - unit]) {
        same += 1;
        continue;
      }
      const length = same + unit;
      const repeats = length >= unit * runawayRepeats && length > longest;
      if (repeats && !isAskedFor(text.slice(at - unit, at), conversation)) longest = length;
      same = 0;
    }
  }
  return longest;
};

/** Compares from every place in the unit, as the loop may begin at any of them. */
const isAskedFor = (unit: string, conversation: string): boolean => {
  const said = wordsOf(conversation);
  return Array.from(unit, (_, at) => wordsOf(unit.slice(at) + unit.slice(0, at))).some(
    (words) => words.length > 1 && said.includes(words),
  );
};

const wordsOf = (text: string): string => text.replaceAll(/[^\p{L}\p{N}]+/gu, " ").trim();

const severeRepeats = 5;
const minSentenceLength = 3;

/** How many characters the most frequent sentence takes up in total. */
const repeatedLength = (text: string, conversation: string): number => {
  const counts = new Map<string, number>();
  for (const part of text.split(/[.!?\n]/)) {
    const sentence = part.trim();
    if (sentence.length >= minSentenceLength) counts.set(sentence, (counts.get(sentence) ?? 0) + 1);
  }
  let longest = 0;
  for (const [sentence, count] of counts) {
    if (count >= severeRepeats && !conversation.includes(sentence)) {
      longest = Math.max(longest, count * (sentence.length + 1));
    }
  }
  return longest;
};
