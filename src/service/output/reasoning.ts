/** Separates reasoning between tags at the beginning of the output from what follows. */
import type { Emit, OutputParser } from "./deltas.ts";
import { createMarkerScanner } from "./marker-scanner.ts";
import { createTextGate, withBlankLines } from "./text-gate.ts";

export interface ReasoningTags {
  readonly open: string;
  readonly close: string;
}

/**
 * A tag opens reasoning only at the beginning of the output; later the model writes about the tag.
 *
 * @param open whether the prompt has already opened it; the model may still repeat the tag
 * @param answer reads what follows the reasoning
 */
export const createReasoning = (tags: ReasoningTags, open: boolean, answer: OutputParser, emit: Emit): OutputParser => {
  const closes = createMarkerScanner(withBlankLines(tags.close));
  const reasoning = createTextGate(emit, "reasoning");
  let state: "before" | "inside" | "after" = "before";
  let held = "";
  /** White space immediately after the reasoning is dropped. */
  let skipping = false;

  const readBefore = (piece: string): string => {
    held += piece;
    const begun = held.trimStart();
    if (begun.length < tags.open.length && tags.open.startsWith(begun) && held.length <= longestHeld) return "";
    const opens = begun.startsWith(tags.open);
    const rest = opens ? begun.slice(tags.open.length) : held;
    held = "";
    state = open || opens ? "inside" : "after";
    if (state === "inside") reasoning.skipBlank();
    return rest;
  };
  const readInside = (piece: string): string => {
    const found = closes.scan(piece);
    reasoning.push(found.text);
    if (found.marker !== undefined) {
      state = "after";
      skipping = true;
    }
    return found.rest;
  };
  const readAfter = (piece: string): void => {
    const text = skipping ? piece.trimStart() : piece;
    if (text === "") return;
    skipping = false;
    answer.push(text);
  };

  return {
    push: (piece) => {
      let rest = piece;
      if (state === "before") rest = readBefore(rest);
      if (state === "inside" && rest !== "") rest = readInside(rest);
      if (state === "after" && rest !== "") readAfter(rest);
    },
    end: () => {
      if (state === "inside" || open) reasoning.push(held + closes.flush());
      else if (held !== "") answer.push(held);
      answer.end();
    },
    inReasoning: () => state === "inside" || (state === "before" && open) || answer.inReasoning(),
  };
};

/** The longest opening tag with the white space before it that is held back. */
const longestHeld = 24;
