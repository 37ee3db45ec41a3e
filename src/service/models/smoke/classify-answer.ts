/** Judges whether a model's answer is usable, from its text alone. */
import type { Quality } from "../../domain/smoke-test.ts";
import { roleMarkers } from "../../output/role-markers.ts";

export interface Verdict {
  readonly quality: Quality;
  /** Several reasons are joined by `; `. `ok` if nothing is wrong. */
  readonly reason: string;
}

/** In code points. */
const maxCharacters = 4000;
const expectedCharacters = 600;
const severeRepeats = 5;
const mildRepeats = 3;

/**
 * Checks for fatal findings first, in a fixed order, then for all that merely make the answer worse. Surrounding blank
 * space is ignored.
 *
 * @param expected one of these is in every correct answer
 */
export const classifyAnswer = (answer: string, expected: ReadonlyArray<string>): Verdict => {
  const text = answer.trim();
  const repeats = mostRepeats(text);
  const characters = [...text].length;
  const failed =
    emptiness(text) ??
    leakage(text) ??
    (repeats >= severeRepeats ? "severe repetition" : undefined) ??
    runaway(text) ??
    (characters > maxCharacters ? "response too long" : undefined);
  if (failed !== undefined) return { quality: "failed", reason: failed };
  const composed = text.normalize("NFC");
  const degraded = [
    repeats >= mildRepeats ? "mild repetition" : "",
    characters > expectedCharacters ? "response longer than expected" : "",
    expected.some((right) => composed.includes(right)) ? "" : "answer did not contain expected result",
  ].filter((reason) => reason !== "");
  return degraded.length > 0 ? { quality: "degraded", reason: degraded.join("; ") } : { quality: "ok", reason: "ok" };
};

const emptiness = (text: string): string | undefined => (text === "" ? "empty response" : undefined);

/** Anything between the bars, on one line. */
const specialToken = /<\|[^\n]{0,40}\|>/u;
const roleLabel = /^(assistant|system|user)\s*:/i;

const leakage = (text: string): string | undefined => {
  const marker = roleMarkers.find((each) => text.includes(each));
  if (marker !== undefined) return `role token leakage (${marker})`;
  if (specialToken.test(text)) return "special token leakage";
  return roleLabel.test(text) ? "role marker leakage" : undefined;
};

/** How often the most frequent sentence occurs. */
const mostRepeats = (text: string): number => {
  const counts = new Map<string, number>();
  for (const part of text.split(/[.!?\n]/)) {
    const sentence = part.trim();
    if ([...sentence].length >= 3) counts.set(sentence, (counts.get(sentence) ?? 0) + 1);
  }
  return Math.max(0, ...counts.values());
};

/** A unit of up to 20 characters, seven times in a row. */
const loop = /(.{1,20}?)\1{6}/su;

const runaway = (text: string): string | undefined => (loop.test(text) ? "runaway repetition" : undefined);
