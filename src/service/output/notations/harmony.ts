/**
 * gpt-oss's harmony format: messages with a header that names a channel (`analysis` is reasoning, `commentary` and
 * `final` are text) and possibly a recipient, `to=functions.NAME`; with a recipient, the content is the arguments of a
 * call.
 */
import { type BodyReader, createMarkedBody } from "../call-body.ts";
import type { Emit, OutputParser } from "../deltas.ts";
import { jsonObjects } from "../json-text.ts";
import { createMarkerScanner } from "../marker-scanner.ts";
import { createTextGate, type TextGate } from "../text-gate.ts";
import { type Mark, unmarked } from "../token-marks.ts";
import type { ToolCalls } from "../tool-calls.ts";

export const harmonyMarkers = [
  "<|start|>",
  "<|channel|>",
  "<|constrain|>",
  "<|message|>",
  "<|end|>",
  "<|call|>",
  "<|return|>",
] as const;
const [start, channelMarker, constrain, message, end, call, finalEnd] = harmonyMarkers;

/** The kind of a message's content. */
type Content =
  | { readonly type: "text" | "reasoning"; readonly gate: TextGate }
  | { readonly type: "call"; readonly recipient: string; readonly body: BodyReader };

/** The prompt ends where a message's header is expected: `<|start|>assistant`. */
export const createHarmony = (calls: ToolCalls, emit: Emit, mark: Mark): OutputParser => {
  const ends = [end, call, finalEnd].map(mark);
  /** They also end a message that lacks its own end marker, and open the next one. */
  const opens = [start, channelMarker].map(mark);
  /** Ignored outside of a header. */
  const strays = [message, constrain].map(mark);
  const headerStarts = [...[start, channelMarker, message].map(mark), "to="];
  const headers = createMarkerScanner([mark(message)]);
  const bounds = createMarkerScanner([...ends, ...opens, ...strays]);
  let state: "between" | "header" | "content" = "between";
  let header = "";
  let content: Content | undefined;

  const open = (of: Content): void => {
    content = of;
    state = "content";
    header = "";
  };
  const plain = (type: "text" | "reasoning") => ({ type, gate: createTextGate(emit, type) }) as const;

  const readBetween = (piece: string): string => {
    header += piece;
    const begun = header.trimStart();
    if (headerStarts.some((each) => begun.startsWith(each))) {
      state = "header";
      const all = begun;
      header = "";
      return all;
    }
    if (headerStarts.some((each) => each.startsWith(begun))) return "";
    // There is no header: the text is plain text.
    const all = header;
    open(plain("text"));
    return all;
  };
  const readHeader = (piece: string): string => {
    const found = headers.scan(piece);
    header += found.text;
    if (found.marker === undefined) return "";
    const { role, channel, recipient } = partsOf(unmarked(header));
    if (role !== "" && role !== "assistant") emit({ type: "foreign-turn", marker: `${start}${role}` });
    if (recipient !== "") {
      open({ type: "call", recipient, body: createMarkedBody(ends, opens) });
    } else open(plain(channel === "analysis" ? "reasoning" : "text"));
    return found.rest;
  };
  const readContent = (piece: string, of: Content): string => {
    if (of.type === "call") {
      const ended = of.body.push(piece);
      if (ended === undefined) return "";
      take(of.recipient, ended.body);
      leave();
      return ended.rest;
    }
    const found = bounds.scan(piece);
    of.gate.push(found.text);
    if (found.marker === undefined) return "";
    if (strays.includes(found.marker)) return found.rest;
    leave();
    return opens.includes(found.marker) ? found.marker + found.rest : found.rest;
  };
  const leave = (): void => {
    content = undefined;
    state = "between";
  };
  const take = (recipient: string, body: string): void => {
    const argumentsText = body.trim();
    const name = recipient.replace(/^functions\./, "");
    calls.take(name, argumentsText, `${recipient} ${argumentsText}`);
  };
  const push = (piece: string): void => {
    for (let rest = piece; rest !== "";) {
      if (state === "between") rest = readBetween(rest);
      else if (content === undefined) rest = readHeader(rest);
      else rest = readContent(rest, content);
    }
  };

  /** The output ends within a header, or within text that might have become one. */
  const endOutside = (rest: string): void => {
    if (state === "between") {
      if (rest.trim() !== "") plain("text").gate.push(rest);
      return;
    }
    const { recipient } = partsOf(unmarked(rest));
    if (recipient !== "") calls.cutOff(rest.slice(rest.indexOf("to=")).trim());
  };

  return {
    push,
    end: () => {
      // The token that ends the output is not part of it, so a call may be complete without its end marker.
      while (content?.type === "call") {
        const { recipient, body } = content;
        const ended = body.end();
        leave();
        // The arguments of built-in tools are not JSON, so it is unknown whether they were cut off.
        if (ended.closed || isObject(unmarked(ended.body)) || !recipient.startsWith("functions."))
          take(recipient, ended.body);
        else calls.cutOff(`${recipient} ${ended.body.trim()}`);
        push(ended.rest);
      }
      if (content !== undefined) content.gate.push(bounds.flush());
      else endOutside(header + headers.flush());
    },
    inReasoning: () => content?.type === "reasoning",
  };
};

const partsOf = (header: string) => {
  const role = new RegExp(`${escape(start)}\\s*([\\w.]+)`).exec(header)?.[1] ?? "";
  const channel = new RegExp(`${escape(channelMarker)}\\s*(\\w+)`).exec(header)?.[1] ?? "";
  const recipient = /\bto=([^\s<]+)/.exec(header.replaceAll(constrain, " "))?.[1] ?? "";
  return { role, channel, recipient };
};

const escape = (text: string): string => text.replaceAll("|", "\\|");

const isObject = (text: string): boolean => jsonObjects(text)?.length === 1;
