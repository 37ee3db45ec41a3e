/**
 * Calls with each argument between tags of its own: Qwen3-Coder's `<function=NAME><parameter=KEY>VALUE</parameter>
 * </function>` and GLM's `NAME<arg_key>KEY</arg_key><arg_value>VALUE</arg_value>`, both within `<tool_call>` tags.
 */
import { type BodyReader, createMarkedBody } from "../call-body.ts";
import type { Emit, OutputParser } from "../deltas.ts";
import { inParts } from "../in-parts.ts";
import { jsonObjects } from "../json-text.ts";
import { createMarkerScanner } from "../marker-scanner.ts";
import { createTextGate, withBlankLines } from "../text-gate.ts";
import { type Mark, unmarked } from "../token-marks.ts";
import type { ToolCalls } from "../tool-calls.ts";
import { typedArguments } from "../typed-arguments.ts";
import { taggedMarkers } from "./tagged.ts";

interface Tags {
  /** The text before the name, within `<tool_call>`; empty if there is none. */
  readonly beforeName: string;
  readonly afterName: RegExp;
  readonly beforeKey: string;
  readonly afterKey: RegExp;
  readonly afterValue: string;
  readonly end: string;
}

const functionTags = (mark: Mark): Tags => ({
  beforeName: mark("<function="),
  afterName: />/y,
  beforeKey: mark("<parameter="),
  afterKey: />/y,
  afterValue: mark("</parameter>"),
  end: mark("</function>"),
});

const argTags = (mark: Mark): Tags => ({
  beforeName: "",
  afterName: new RegExp(`(?=\\s*(?:${mark("<arg_key>")}|${mark(taggedMarkers[1])}))`, "y"),
  beforeKey: mark("<arg_key>"),
  afterKey: new RegExp(`${mark("</arg_key>")}\\s*${mark("<arg_value>")}`, "y"),
  afterValue: mark("</arg_value>"),
  end: mark(taggedMarkers[1]),
});

export const functionMarkers = [...taggedMarkers, "<function=", "<parameter=", "</parameter>", "</function>"] as const;
export const argMarkers = [...taggedMarkers, "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"] as const;

export const createFunctionTags = (calls: ToolCalls, emit: Emit, mark: Mark): OutputParser =>
  createArgumentTags(functionTags(mark), calls, emit, mark);
export const createArgTags = (calls: ToolCalls, emit: Emit, mark: Mark): OutputParser =>
  createArgumentTags(argTags(mark), calls, emit, mark);

const createArgumentTags = (tags: Tags, calls: ToolCalls, emit: Emit, mark: Mark): OutputParser => {
  const [open, close] = [mark(taggedMarkers[0]), mark(taggedMarkers[1])];
  // Models sometimes leave out the outer tag: then only the name of an offered tool makes it a call.
  const bare = tags.beforeName === "" ? [] : calls.names.map((name) => `${tags.beforeName}${name}>`);
  const opens = createMarkerScanner([...withBlankLines(open, ...bare), close]);
  const text = createTextGate(emit);
  /** The text after `<tool_call>`, until it is clear what follows. */
  let head: string | undefined;
  let call: TaggedCall | undefined;
  /** A call written as JSON, which these models also produce. */
  let json: BodyReader | undefined;
  /** What precedes the call: line breaks, and the outer tag if there is one. */
  let before = "";
  /** Whether the closing tag belongs to calls that were accepted. */
  let closes = false;

  const leave = (): void => {
    head = undefined;
    call = undefined;
    json = undefined;
    text.skipBlank();
  };
  const readHead = (piece: string): string => {
    head = (head ?? "") + piece;
    const all = head.trimStart();
    if (all === "" || (all.length < tags.beforeName.length && tags.beforeName.startsWith(all))) return "";
    before += head.slice(0, head.length - all.length);
    head = undefined;
    if (all.startsWith("{") || all.startsWith("[") || !all.startsWith(tags.beforeName)) {
      json = createMarkedBody([close], [open]);
    } else call = new TaggedCall(tags);
    return all;
  };
  const readCall = (piece: string, of: TaggedCall): string => {
    const rest = of.push(piece);
    if (rest === undefined) return "";
    take(of);
    leave();
    return rest;
  };
  const take = ({ name, members, written, isBroken }: TaggedCall): void => {
    const original = before + written;
    let isCall = false;
    if (isBroken) calls.giveBack(original, { kind: "malformed-tool-call", message: "a tool call cannot be read" });
    else isCall = calls.take(name, typedArguments(members, calls.parametersOf(unmarked(name))), original);
    // In GLM's notation this tag also ends the call. If the opening tag became text, the closing tag becomes text as
    // well.
    closes = tags.end !== close && (isCall || (closes && !before.includes(open)));
  };
  const read = (piece: string): string => {
    if (head !== undefined) return readHead(piece);
    if (call !== undefined) return readCall(piece, call);
    if (json !== undefined) {
      const ended = json.push(piece);
      if (ended === undefined) return "";
      calls.takeObjects(ended.body, (written) => before + written + ended.closer);
      leave();
      return ended.rest;
    }
    const found = opens.scan(piece);
    text.push(found.text);
    const { marker } = found;
    if (marker === undefined) return found.rest;
    if (marker === close) {
      if (!closes) text.push(marker);
      closes = false;
      return found.rest;
    }
    const plain = marker.trimStart();
    if (plain === open) {
      before = marker;
      closes = false;
      head = "";
      return found.rest;
    }
    before = marker.slice(0, marker.length - plain.length);
    call = new TaggedCall(tags);
    return plain + found.rest;
  };
  const push = inParts(read);

  /** Ends the open part; returns the unread text after it. */
  const finish = (): string => {
    const [lastHead, lastCall, lastJson] = [head, call, json];
    leave();
    // A call that lacks only its closing tag is valid.
    if (lastCall?.end() === true) take(lastCall);
    else if (lastCall !== undefined) calls.cutOff(before + lastCall.written);
    else if (lastHead !== undefined) calls.cutOff(before + lastHead);
    if (lastJson === undefined) return "";
    const { body, closed, closer, rest } = lastJson.end();
    if (closed || jsonObjects(body) !== undefined) calls.takeObjects(body, (written) => before + written + closer);
    else calls.cutOff(before + body);
    return rest;
  };

  return {
    push,
    end: () => {
      while (head !== undefined || call !== undefined || json !== undefined) push(finish());
      text.push(opens.flush());
    },
    inReasoning: () => false,
  };
};

/** One call, read as it arrives. */
class TaggedCall {
  name = "";
  readonly members: [key: string, value: string][] = [];
  /** The text read so far. */
  written = "";
  isBroken = false;
  private readonly tags: Tags;
  private state: "name" | "between" | "key" | "value" = "name";
  private at = 0;
  /** Where to look for the closing tag of a value. */
  private from = 0;
  private key = "";

  constructor(tags: Tags) {
    this.tags = tags;
    this.at = tags.beforeName.length;
  }

  /** The output is over. Returns whether only the closing tag is missing. */
  end(): boolean {
    const { tags, written } = this;
    if (this.state === "value" && written.trimEnd().endsWith(tags.afterValue)) {
      this.members.push([this.key, written.slice(this.at, written.lastIndexOf(tags.afterValue))]);
      this.state = "between";
    }
    return this.state === "between" && !this.isBroken;
  }

  /** The unread text after the call, once it has ended. */
  push(piece: string): string | undefined {
    this.written += piece;
    for (;;) {
      switch (this.state) {
        case "name":
        case "key":
          if (!this.readLabel()) return this.isBroken ? this.rest() : undefined;
          break;
        case "value":
          if (!this.readValue()) return undefined;
          break;
        case "between": {
          const ended = this.readBetween();
          if (ended === "wait") return undefined;
          if (ended === "end") return this.rest();
        }
      }
    }
  }

  private rest(): string {
    const rest = this.written.slice(this.at);
    this.written = this.written.slice(0, this.at);
    return rest;
  }

  private readLabel(): boolean {
    const { written, at, tags, state } = this;
    const closing = state === "name" ? tags.afterName : tags.afterKey;
    for (let end = at; end < written.length && end - at <= longestLabel; end++) {
      closing.lastIndex = end;
      const found = closing.exec(written);
      if (found === null) continue;
      const label = written.slice(at, end).trim();
      this.at = closing.lastIndex;
      if (state === "name") this.name = label;
      else this.key = label;
      this.from = this.at;
      this.state = state === "name" ? "between" : "value";
      return true;
    }
    if (written.length - at > longestLabel) {
      this.isBroken = true;
      this.at = written.length;
    }
    return false;
  }

  private readBetween(): "wait" | "end" | "on" {
    const { tags } = this;
    const following = this.written.slice(this.at);
    const next = following.trimStart();
    const start = this.written.length - next.length;
    if (next.startsWith(tags.end)) {
      this.at = start + tags.end.length;
      return "end";
    }
    if (next.startsWith(tags.beforeKey)) {
      this.at = start + tags.beforeKey.length;
      this.state = "key";
      return "on";
    }
    if (tags.end.startsWith(next) || tags.beforeKey.startsWith(next)) return "wait";
    // Something unexpected follows: the text up to the end is not a call.
    this.isBroken = true;
    const end = this.written.indexOf(tags.end, this.at);
    if (end < 0) return "wait";
    this.at = end + tags.end.length;
    return "end";
  }

  /**
   * A value extends to a closing tag that is followed by another parameter or the end of the call, as the value itself
   * may contain such a tag.
   */
  private readValue(): boolean {
    const { tags, written } = this;
    for (;;) {
      const close = written.indexOf(tags.afterValue, this.from);
      if (close < 0) {
        this.from = Math.max(this.from, written.length - tags.afterValue.length);
        return false;
      }
      const after = close + tags.afterValue.length;
      const next = written.slice(after, after + longestGap).trimStart();
      const isOpen =
        written.length - after < longestGap && (tags.end.startsWith(next) || tags.beforeKey.startsWith(next));
      if (isOpen && next !== tags.end && next !== tags.beforeKey) {
        this.from = close;
        return false;
      }
      if (next.startsWith(tags.end) || next.startsWith(tags.beforeKey)) {
        this.members.push([this.key, written.slice(this.at, close)]);
        this.at = after;
        this.state = "between";
        return true;
      }
      this.from = after;
    }
  }
}

/** Names have at most 64 characters and keys are usually shorter; the rest is for white space and tags. */
const longestLabel = 256;
/** The most characters between the end of a value and the tag that follows it, including that tag. */
const longestGap = 64;
