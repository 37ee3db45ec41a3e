/**
 * Qwen, Hermes and many relatives: each call is JSON between tags, `{"name": ..., "arguments": {...}}`. Phi-4-mini is
 * similar.
 */
import { type BodyReader, createMarkedBody } from "../call-body.ts";
import type { Emit, OutputParser } from "../deltas.ts";
import { inParts } from "../in-parts.ts";
import { jsonObjects } from "../json-text.ts";
import { createMarkerScanner } from "../marker-scanner.ts";
import { createTextGate, withBlankLines } from "../text-gate.ts";
import type { Mark } from "../token-marks.ts";
import type { ToolCalls } from "../tool-calls.ts";

export const taggedMarkers = ["<tool_call>", "</tool_call>"] as const;
/** Phi-4-mini writes an array of calls between these markers. */
export const phiMarkers = ["<|tool_call|>", "<|/tool_call|>"] as const;

export const createTagged = (calls: ToolCalls, emit: Emit, mark: Mark): OutputParser =>
  createBetween(taggedMarkers, calls, emit, mark);
export const createPhi = (calls: ToolCalls, emit: Emit, mark: Mark): OutputParser =>
  createBetween(phiMarkers, calls, emit, mark);

const createBetween = (markers: readonly [string, string], calls: ToolCalls, emit: Emit, mark: Mark): OutputParser => {
  const [open, close] = [mark(markers[0]), mark(markers[1])];
  const opens = createMarkerScanner(withBlankLines(open));
  const text = createTextGate(emit);
  let body: BodyReader | undefined;
  /** The line breaks before the opening tag. */
  let before = "";
  const written = (call: string): string => before + open + call;

  const read = (piece: string): string => {
    if (body === undefined) {
      const found = opens.scan(piece);
      text.push(found.text);
      if (found.marker?.endsWith(open) === true) {
        body = createMarkedBody([close], [open]);
        before = found.marker.slice(0, -open.length);
      }
      return found.rest;
    }
    const ended = body.push(piece);
    if (ended === undefined) return "";
    body = undefined;
    calls.takeObjects(ended.body, (call) => written(call) + ended.closer);
    text.skipBlank();
    return ended.rest;
  };
  const push = inParts(read);

  return {
    push,
    end: () => {
      while (body !== undefined) {
        const ended = body.end();
        body = undefined;
        // A call that lacks only its closing tag is valid.
        if (ended.closed || jsonObjects(ended.body) !== undefined) {
          calls.takeObjects(ended.body, (call) => written(call) + ended.closer);
        } else calls.cutOff(written(ended.body));
        text.skipBlank();
        push(ended.rest);
      }
      text.push(opens.flush());
    },
    inReasoning: () => false,
  };
};
