/** Functionary and the custom tools of Llama 3.1: `<function=NAME>{...}</function>`, the arguments as JSON. */
import { type BodyReader, createMarkedBody } from "../call-body.ts";
import type { Emit, OutputParser } from "../deltas.ts";
import { inParts } from "../in-parts.ts";
import { createMarkerScanner } from "../marker-scanner.ts";
import { createTextGate, withBlankLines } from "../text-gate.ts";
import type { ToolCalls } from "../tool-calls.ts";

const open = "<function=";
const close = "</function>";
export const functionaryMarkers = [open, close] as const;

export const createFunctionary = (calls: ToolCalls, emit: Emit): OutputParser => {
  // Includes a tool's name, because other text may well mention functions.
  const opens = createMarkerScanner(withBlankLines(...calls.names.map((name) => `${open}${name}>`)));
  const text = createTextGate(emit);
  let name = "";
  /** The line breaks before the call. */
  let before = "";
  let body: BodyReader | undefined;

  const written = (argumentsText: string): string => `${before}${open}${name}>${argumentsText}`;
  const take = (argumentsText: string): void => {
    const given = argumentsText.trim();
    calls.take(name, given === "" ? "{}" : given, written(argumentsText) + close);
    body = undefined;
    text.skipBlank();
  };
  const read = (piece: string): string => {
    if (body !== undefined) {
      const ended = body.push(piece);
      if (ended === undefined) return "";
      take(ended.body);
      return ended.rest;
    }
    const found = opens.scan(piece);
    text.push(found.text);
    if (found.marker !== undefined) {
      const opening = found.marker.trimStart();
      before = found.marker.slice(0, found.marker.length - opening.length);
      name = opening.slice(open.length, -1);
      body = createMarkedBody([close]);
    }
    return found.rest;
  };
  const push = inParts(read);

  return {
    push,
    end: () => {
      text.push(opens.flush());
      if (body === undefined) return;
      const ended = body.end();
      if (ended.closed) take(ended.body);
      else calls.cutOff(written(ended.body));
      push(ended.rest);
    },
    inReasoning: () => false,
  };
};
