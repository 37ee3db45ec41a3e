/**
 * Llama 3: `{"name": ..., "parameters": {...}}`, after `<|python_tag|>` or bare. A bare object is a call only at the
 * beginning of the output or immediately after another call, and only with the name of an offered tool; otherwise it is
 * text.
 */
import { type BodyReader, createJsonBody } from "../call-body.ts";
import type { Emit, OutputParser } from "../deltas.ts";
import { inParts } from "../in-parts.ts";
import { createMarkerScanner } from "../marker-scanner.ts";
import { createTextGate, withBlankLines } from "../text-gate.ts";
import type { Mark } from "../token-marks.ts";
import type { ToolCalls } from "../tool-calls.ts";

export const llamaMarkers = ["<|python_tag|>"] as const;

export const createLlama = (calls: ToolCalls, emit: Emit, mark: Mark): OutputParser => {
  const tag = mark(llamaMarkers[0]);
  const tags = createMarkerScanner(withBlankLines(tag));
  const text = createTextGate(emit);
  const openings = calls.names.flatMap((name) => {
    const named = `"name":${JSON.stringify(name)}`;
    return [`{${named}`, `{"type":"function",${named}`];
  });
  /** `maybe`: a bare call may begin here; `tagged`: after the tag. */
  let state: "maybe" | "text" | "tagged" | "json" = "maybe";
  let held = "";
  let body: BodyReader | undefined;
  let afterCall = false;
  /** The tag before the call, with the white space around it. */
  let before = "";

  const readMaybe = (piece: string): string => {
    held += piece;
    const start = afterCall ? held.replace(/^[\s;,]+/, "") : held.trimStart();
    const leading = held.length - start.length;
    const found = [tag, ...openings].map((opening) => openingOf(opening, start, leading));
    const isOpen = found.includes("whole");
    if (!isOpen && found.includes("begun")) return "";
    const all = held;
    held = "";
    if (isOpen && start.startsWith("{")) {
      state = "json";
      body = createJsonBody();
      return start;
    }
    state = "text";
    return isOpen ? start : all;
  };
  const readTagged = (piece: string): string => {
    held += piece;
    const start = held.trimStart();
    if (!/^[[{]/.test(start)) return ""; // code for an interpreter: to the end of the output
    before += held.slice(0, held.length - start.length);
    held = "";
    state = "json";
    body = createJsonBody();
    return start;
  };
  const read = (piece: string): string => {
    if (state === "maybe") return readMaybe(piece);
    if (state === "tagged") return readTagged(piece);
    if (state === "json") {
      const ended = body?.push(piece);
      if (ended === undefined) return "";
      calls.takeObjects(ended.body, (call) => before + call);
      before = "";
      state = "maybe";
      afterCall = true;
      text.skipBlank();
      return ended.rest;
    }
    const found = tags.scan(piece);
    text.push(found.text);
    if (found.marker !== undefined) {
      state = "tagged";
      before = found.marker;
    }
    return found.rest;
  };

  return {
    push: inParts(read),
    end: () => {
      text.push(tags.flush());
      if (state === "json") calls.cutOff(before + (body?.end().body ?? ""));
      else if (state === "tagged") {
        calls.giveBack(before + held, {
          kind: "malformed-tool-call",
          message: "the model called something that is no tool",
        });
      } else text.push(held);
    },
    inReasoning: () => false,
  };
};

/** How much of the opening the text matches, ignoring a bounded amount of white space. */
const openingOf = (opening: string, text: string, leading: number): "whole" | "begun" | "other" => {
  let at = 0;
  let blank = leading;
  for (const unit of text) {
    if (/\s/.test(unit)) blank += 1;
    else if (unit !== opening[at++]) return "other";
    if (at === opening.length) return "whole";
    if (blank > mostBlank) return "other";
  }
  return blank > mostBlank ? "other" : "begun";
};

/** White space before and within the beginning of a call. */
const mostBlank = 32;
