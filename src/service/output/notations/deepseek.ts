/**
 * DeepSeek: calls between markers of their own, each consisting of a name, a separator and the arguments. Older models
 * write the word `function` before the separator and, after it, the name, a line break and the arguments in a code
 * fence.
 */
import { type BodyReader, createMarkedBody } from "../call-body.ts";
import type { Emit, OutputParser } from "../deltas.ts";
import { inParts } from "../in-parts.ts";
import { createMarkerScanner } from "../marker-scanner.ts";
import { createTextGate, withBlankLines } from "../text-gate.ts";
import { type Mark, unmarked } from "../token-marks.ts";
import type { ToolCalls } from "../tool-calls.ts";

export const deepseekMarkers = [
  "<｜tool▁calls▁begin｜>",
  "<｜tool▁call▁begin｜>",
  "<｜tool▁sep｜>",
  "<｜tool▁call▁end｜>",
  "<｜tool▁calls▁end｜>",
] as const;

export const createDeepseek = (calls: ToolCalls, emit: Emit, mark: Mark): OutputParser => {
  const [allBegin = "", begin = "", , end = "", allEnd = ""] = deepseekMarkers.map(mark);
  const markers = createMarkerScanner(withBlankLines(allBegin, begin, allEnd));
  const text = createTextGate(emit);
  let body: BodyReader | undefined;
  /** What precedes the call, as it was written: its markers and line breaks. */
  let before = "";
  /** Whether a list of calls is open of which none became text. */
  let isRow = false;

  const take = (marked: string, closer: string): void => {
    const { name, argumentsText } = partsOf(unmarked(marked));
    const original = before + marked + closer;
    let isCall = false;
    if (name === "") calls.giveBack(original, { kind: "malformed-tool-call", message: "a tool call has no name" });
    else isCall = calls.take(name, argumentsText, original);
    isRow = isCall || (isRow && !before.includes(allBegin));
    before = "";
    text.skipBlank();
  };
  /** A beginning that no call follows is text. */
  const say = (piece: string): void => {
    if (before !== "" && piece.trim() === "") before += piece;
    else {
      text.push(before + piece);
      before = "";
    }
  };
  const read = (piece: string): string => {
    if (body === undefined) {
      const found = markers.scan(piece);
      say(found.text);
      if (found.marker === undefined) return found.rest;
      if (found.marker.endsWith(allEnd)) {
        if (isRow) text.skipBlank();
        else say(found.marker);
        isRow = false;
      } else {
        before += found.marker;
        if (found.marker.endsWith(begin)) body = createMarkedBody([end], [allEnd, begin]);
      }
      return found.rest;
    }
    const ended = body.push(piece);
    if (ended === undefined) return "";
    body = undefined;
    take(ended.body, ended.closer);
    return ended.rest;
  };
  const push = inParts(read);

  return {
    push,
    end: () => {
      while (body !== undefined) {
        const ended = body.end();
        body = undefined;
        if (ended.closed) take(ended.body, ended.closer);
        else calls.cutOff(before + ended.body);
        before = "";
        push(ended.rest);
      }
      text.push(before + markers.flush());
    },
    inReasoning: () => false,
  };
};

const partsOf = (call: string): { readonly name: string; readonly argumentsText: string } => {
  const [before = "", after] = call.split(deepseekMarkers[2], 2);
  if (after === undefined) return { name: "", argumentsText: "" };
  const fenced = /^\s*(\S+)\s*```(?:json)?\n(.*?)\n?```\s*$/s.exec(after);
  return fenced === null
    ? { name: before.trim(), argumentsText: after.trim() }
    : { name: fenced[1] ?? "", argumentsText: (fenced[2] ?? "").trim() };
};
