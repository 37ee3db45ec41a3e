/**
 * DeepSeek: calls between markers of their own, each a name, a separator and the arguments. Older models write the word
 * `function` before the separator, and after it the name, a line end and the arguments in a fence.
 */
import { type BodyReader, createMarkedBody } from "../call-body.ts";
import type { Emit, OutputParser } from "../deltas.ts";
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
  const [, begin = "", , end = "", allEnd = ""] = deepseekMarkers.map(mark);
  const markers = createMarkerScanner(withBlankLines(...deepseekMarkers.map(mark)));
  const text = createTextGate(emit);
  let body: BodyReader | undefined;

  const take = (marked: string): void => {
    const call = unmarked(marked);
    const { name, argumentsText } = partsOf(call);
    const original = withoutMarkers(call);
    if (name === "") calls.giveBack(original, { kind: "malformed-tool-call", message: "a tool call has no name" });
    else calls.take(name, argumentsText, original);
    text.skipBlank();
  };
  const read = (piece: string): string => {
    if (body === undefined) {
      const found = markers.scan(piece);
      text.push(found.text);
      if (found.marker !== undefined) text.skipBlank();
      if (found.marker?.endsWith(begin) === true) body = createMarkedBody([end], [allEnd, begin]);
      return found.rest;
    }
    const ended = body.push(piece);
    if (ended === undefined) return "";
    body = undefined;
    take(ended.body);
    return ended.rest;
  };
  const push = (piece: string): void => {
    for (let rest = piece; rest !== "";) rest = read(rest);
  };

  return {
    push,
    end: () => {
      while (body !== undefined) {
        const ended = body.end();
        body = undefined;
        if (ended.closed) take(ended.body);
        else calls.cutOff(withoutMarkers(unmarked(ended.body)));
        push(ended.rest);
      }
      text.push(markers.flush());
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

const withoutMarkers = (text: string): string =>
  deepseekMarkers.reduce((rest, marker) => rest.replaceAll(marker, " "), text).trim();
