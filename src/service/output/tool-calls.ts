/** Validates the tool calls that a notation's parser has found, and turns invalid ones back into text. */
import type { Tool } from "../domain/conversation.ts";
import type { OutputWarning } from "../domain/generation-result.ts";
import type { Emit } from "./deltas.ts";
import { jsonMembers, jsonObjects } from "./json-text.ts";
import type { ToolSet } from "./tool-set.ts";

export class ToolCalls {
  private readonly tools: ToolSet;
  private readonly emit: Emit;
  private readonly createId: () => string;
  private readonly plain: (marked: string) => string;
  private count = 0;

  /** @param plain removes the marks of special tokens from a text */
  constructor(tools: ToolSet, emit: Emit, createId: () => string, plain: (marked: string) => string) {
    this.tools = tools;
    this.emit = emit;
    this.createId = createId;
    this.plain = plain;
  }

  get names(): ReadonlyArray<string> {
    return this.tools.names;
  }

  /** The schema of the tool's arguments; undefined if it has none or there is no such tool. */
  parametersOf(name: string): Tool["parameters"] {
    return this.tools.parametersOf(name);
  }

  /**
   * Takes JSON objects with a name and arguments, in sequence or in an array.
   *
   * @param written restores the text as the model wrote it, including its surroundings, in case it is not a call
   */
  takeObjects(marked: string, written: (body: string) => string = (body) => body): void {
    const body = this.plain(marked);
    const objects = jsonObjects(body);
    if (objects === undefined) {
      this.giveBack(written(body), { kind: "malformed-tool-call", message: "a tool call is not valid JSON" });
      return;
    }
    const [only] = objects.length === 1 ? [body] : [];
    for (const object of objects) {
      const members = jsonMembers(object);
      const name = decodeString(members.get("name"));
      const given = members.get("arguments") ?? members.get("parameters") ?? "{}";
      if (name === undefined) {
        const message = "a tool call has no name";
        this.giveBack(written(only ?? object), { kind: "malformed-tool-call", message });
      } else this.take(name, decodeString(given) ?? given, written(only ?? object));
    }
  }

  /**
   * Returns whether it is a valid call.
   *
   * @param original the text to emit if it is not
   */
  take(named: string, marked: string, original: string): boolean {
    const name = this.plain(named);
    const given = this.plain(marked);
    // Models express empty arguments in several ways.
    const argumentsText = /^\s*(?:null)?\s*$/.test(given) ? "{}" : given;
    const problem = this.tools.problem(name, argumentsText);
    if (problem !== undefined) {
      this.giveBack(original, problem);
      return false;
    }
    const call = { index: this.count++, id: this.createId(), name, arguments: argumentsText };
    this.emit({ type: "tool-call", call });
    return true;
  }

  /** An attempted call that is invalid becomes text, as the model wrote it, with a warning that says why. */
  giveBack(text: string, warning: OutputWarning): void {
    if (text !== "") this.emit({ type: "text", text: this.plain(text) });
    this.emit({ type: "warning", warning });
  }

  cutOff(text: string): void {
    this.giveBack(text, { kind: "malformed-tool-call", message: "the output ended inside of a tool call" });
  }
}

/** Some models write the arguments as a JSON string that contains JSON, which is how chat APIs represent them. */
const decodeString = (json: string | undefined): string | undefined =>
  json?.startsWith('"') === true ? String(JSON.parse(json)) : undefined;
