/** Takes out of the text what models leak of their chat format: role tokens, a role's label, a turn of the user's. */
import { type CleanUpStep, cleanUpSteps } from "../domain/family.ts";
import { createMarkerScanner } from "./marker-scanner.ts";

export interface CleanUp {
  readonly push: (text: string) => CleanText;
  readonly end: () => CleanText;
  /** Whether anything was taken out. */
  readonly removed: () => boolean;
}

interface CleanText {
  readonly text: string;
  /** The marker of a user's turn that ended the text; what follows it is none. */
  readonly cutAt: string | undefined;
}

/**
 * @param steps names of the family's steps; unknown ones are skipped
 * @param stops stop sequences in force: they end the text, so markers that stand in them are not taken out of it
 * @param continues whether the text goes on with a message that has begun: then it begins with no label
 * @param acts whether a marker acts where it is written in ordinary text
 */
export const createCleanUp = (
  steps: ReadonlyArray<string>,
  stops: ReadonlyArray<string>,
  continues: boolean,
  acts: (marker: string) => boolean = () => true,
): CleanUp => {
  const strips = steps.includes("strip_role_tokens");
  const cuts = steps.includes("trim_after_user_marker") ? userMarkers : [];
  const markers = [...new Set([...(strips ? roleMarkers : []), ...cuts])].filter(
    (marker) => !stops.some((stop) => stop.includes(marker)) && acts(marker),
  );
  const scanner = createMarkerScanner(markers);
  /** What the text begins with, as long as it may be a label. */
  let beginning: string | undefined = strips && !continues ? "" : undefined;
  /** UTF-16 units before what is read. */
  let position = 0;
  let removed = false;
  let skipping = false;

  const out = (piece: string, last = false): string => {
    const text = skipping ? piece.trimStart() : piece;
    if (text !== "") skipping = false;
    if (beginning === undefined) return text;
    // Blank space in front goes on its way: stop sequences may be of it.
    const blank = beginning === "" ? text.slice(0, text.length - text.trimStart().length) : "";
    beginning += text.slice(blank.length);
    if (!last && label.prefix.test(beginning)) return blank;
    const whole = beginning;
    beginning = undefined;
    const found = label.whole.exec(whole)?.[0] ?? "";
    if (found === "") return blank + whole;
    removed = true;
    const rest = whole.slice(found.length).trimStart();
    skipping = rest === "";
    return blank + rest;
  };

  return {
    push: (piece) => {
      let text = "";
      for (let rest = piece; ;) {
        const found = scanner.scan(rest);
        position += found.text.length;
        text += out(found.text);
        if (found.marker === undefined) return { text, cutAt: undefined };
        const isCut = cuts.includes(found.marker) && position > 0;
        position += found.marker.length;
        if (isCut) return { text: text + out("", true), cutAt: found.marker };
        if (roleMarkers.includes(found.marker) && strips) {
          removed = true;
          if (beginning === "") skipping = true;
        } else text += out(found.marker);
        rest = found.rest;
      }
    },
    end: () => ({ text: out(scanner.flush()) + (beginning === undefined ? "" : out("", true)), cutAt: undefined }),
    removed: () => removed,
  };
};

/** Whether a step of this name is known; each of them also takes the blank space off both ends of the text. */
export const isCleanUpStep = (step: string): step is CleanUpStep => cleanUpSteps.some((known) => known === step);

const roleMarkers: ReadonlyArray<string> = [
  "<|im_start|>",
  "<|im_end|>",
  "<|user|>",
  "<|assistant|>",
  "<|endoftext|>",
  "### Instruction:",
  "### Response:",
  "[/INST]",
  "[INST]",
  "<s>",
];

const userMarkers: ReadonlyArray<string> = ["<|user|>", "\nuser:", "\nUser:", "### Instruction:"];

const roles = ["user", "assistant", "system"];

/** A role's label at the beginning, as a whole and as far as it has come: with a bound, as it is held back. */
const label = {
  whole: new RegExp(`^(?:${roles.join("|")})\\s{0,32}:`, "i"),
  prefix: new RegExp(
    `^(?:${roles.flatMap((role) => [...role].map((_, length) => role.slice(0, length))).join("|")}|(?:${roles.join("|")})\\s{0,32})$`,
    "i",
  ),
};
