/** Removes leaked parts of the chat format from the text: role tokens, a role label, a user's turn. */
import { type CleanUpStep, cleanUpSteps } from "../domain/family.ts";
import { createMarkerScanner } from "./marker-scanner.ts";
import { roleMarkers } from "./role-markers.ts";

export interface CleanUp {
  readonly push: (text: string) => CleanText;
  readonly end: () => CleanText;
  /** Whether anything was taken out. */
  readonly removed: () => boolean;
}

interface CleanText {
  readonly text: string;
  /** The marker of a user's turn that ended the text; nothing follows it. */
  readonly cutAt: string | undefined;
}

/**
 * @param steps names of the family's steps; unknown ones are skipped
 * @param stops the stop sequences: they end the text, so markers within them are not removed
 * @param continues whether the text continues an existing message, in which case no label is looked for
 * @param acts whether a marker acts when it is written in ordinary text
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
  /** The beginning of the text while it may still be a role label; undefined afterwards. */
  let beginning: string | undefined = strips && !continues ? "" : undefined;
  /** How many UTF-16 units precede the text that is read next. */
  let position = 0;
  let removed = false;
  let skipping = false;

  const out = (piece: string, last = false): string => {
    const text = skipping ? piece.trimStart() : piece;
    if (text !== "") skipping = false;
    if (beginning === undefined) return text;
    // Leading blank space is passed on at once, because a stop sequence may contain it.
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

/** Whether this is a known step. Each step also trims blank space from both ends of the text. */
export const isCleanUpStep = (step: string): step is CleanUpStep => cleanUpSteps.some((known) => known === step);

const userMarkers: ReadonlyArray<string> = ["<|user|>", "\nuser:", "\nUser:", "### Instruction:"];

const roles = ["user", "assistant", "system"];

/** A role label at the beginning: complete, and as a prefix. Its length is bounded, because it is held back. */
const label = {
  whole: new RegExp(`^(?:${roles.join("|")})\\s{0,32}:`, "i"),
  prefix: new RegExp(
    `^(?:${roles.flatMap((role) => [...role].map((_, length) => role.slice(0, length))).join("|")}|(?:${roles.join("|")})\\s{0,32})$`,
    "i",
  ),
};
