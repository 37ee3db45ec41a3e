/**
 * Mistral: `[TOOL_CALLS]` and an array of `{"name": ..., "arguments": {...}}`. Newer models write
 * `[TOOL_CALLS]name[ARGS]{...}` for each call, with or without the second marker and with an optional `[CALL_ID]` and
 * id before it.
 */
import { type BodyReader, createJsonBody } from "../call-body.ts";
import type { Emit, OutputParser } from "../deltas.ts";
import { inParts } from "../in-parts.ts";
import { createMarkerScanner } from "../marker-scanner.ts";
import { createTextGate, withBlankLines } from "../text-gate.ts";
import { type Mark, unmarked } from "../token-marks.ts";
import type { ToolCalls } from "../tool-calls.ts";

export const mistralMarkers = ["[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"] as const;

export const createMistral = (calls: ToolCalls, emit: Emit, mark: Mark): OutputParser => {
  const markers = mistralMarkers.map(mark);
  const [open = ""] = markers;
  const opens = createMarkerScanner(withBlankLines(open));
  const text = createTextGate(emit);
  /** The marker before the head, with the line breaks before it. */
  let before = "";
  /** The text between the marker and the JSON; undefined outside of a call. */
  let head: string | undefined;
  let body: BodyReader | undefined;

  const leave = (): void => {
    head = undefined;
    body = undefined;
    text.skipBlank();
  };
  const readHead = (piece: string): string => {
    const all = (head + piece).trimStart();
    const isArray = all.startsWith("[") && !markers.some((marker) => startsAlike(marker, all));
    const at = isArray ? 0 : all.indexOf("{");
    if (at >= 0) {
      head = all.slice(0, at);
      body = createJsonBody();
      return all.slice(at);
    }
    if (all.length <= longestHead) {
      head = all;
      return "";
    }
    leave();
    calls.giveBack(before + all, { kind: "malformed-tool-call", message: "a tool call has no arguments" });
    return "";
  };
  const read = (piece: string): string => {
    if (body !== undefined) {
      const ended = body.push(piece);
      if (ended === undefined) return "";
      const name = nameOf(unmarked(head ?? ""));
      const written = before + (head ?? "");
      if (name === "") calls.takeObjects(ended.body, (call) => written + call);
      else calls.take(name, ended.body, written + ended.body);
      leave();
      return ended.rest;
    }
    if (head !== undefined) return readHead(piece);
    const found = opens.scan(piece);
    text.push(found.text);
    if (found.marker === undefined) return found.rest;
    before = found.marker;
    head = "";
    return found.rest;
  };

  return {
    push: inParts(read),
    end: () => {
      text.push(opens.flush());
      if (head !== undefined) calls.cutOff(before + head + (body?.end().body ?? ""));
    },
    inReasoning: () => false,
  };
};

const nameOf = (head: string): string => (head.split(mistralMarkers[2])[0] ?? "").replace(mistralMarkers[1], "").trim();

/** Whether one is a prefix of the other. */
const startsAlike = (a: string, b: string): boolean => a.startsWith(b) || b.startsWith(a);

/** A name has at most 64 characters; with an id and the markers the head is never longer than this. */
const longestHead = 256;
