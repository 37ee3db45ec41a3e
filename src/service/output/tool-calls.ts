/** Makes tool calls of what a notation has taken out of the text, and text again of what is none. */
import type { OutputWarning, Tool } from "../domain/generation.ts";
import type { Emit } from "./deltas.ts";
import { jsonMembers, jsonObjects } from "./json-text.ts";
import type { ToolSet } from "./tool-set.ts";

export class ToolCalls {
  private readonly tools: ToolSet;
  private readonly emit: Emit;
  private readonly createId: () => string;
  private readonly plain: (marked: string) => string;
  private count = 0;

  /** @param plain a text without the marks of its tokens */
  constructor(tools: ToolSet, emit: Emit, createId: () => string, plain: (marked: string) => string) {
    this.tools = tools;
    this.emit = emit;
    this.createId = createId;
    this.plain = plain;
  }

  get names(): ReadonlyArray<string> {
    return this.tools.names;
  }

  /** The schema of the tool's arguments; undefined where it has none, or there is no such tool. */
  parametersOf(name: string): Tool["parameters"] {
    return this.tools.parametersOf(name);
  }

  /**
   * Takes JSON objects with a name and arguments, in a row or in an array.
   *
   * @param written as the model wrote it, what stood around it too: for the case that it is no call
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
   * Whether it is a call that can be made.
   *
   * @param original what to give back as text when it is none
   */
  take(named: string, marked: string, original: string): boolean {
    const name = this.plain(named);
    const given = this.plain(marked);
    // A model that has nothing to say of its arguments says so in more ways than one.
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

  /** What the model meant as a call and what is none is text, as the model wrote it, and a warning says why. */
  giveBack(text: string, warning: OutputWarning): void {
    if (text !== "") this.emit({ type: "text", text: this.plain(text) });
    this.emit({ type: "warning", warning });
  }

  cutOff(text: string): void {
    this.giveBack(text, { kind: "malformed-tool-call", message: "the output ended inside of a tool call" });
  }
}

/** Some models write the arguments as a JSON string that holds JSON, as clients of chat APIs see them. */
const decodeString = (json: string | undefined): string | undefined =>
  json?.startsWith('"') === true ? String(JSON.parse(json)) : undefined;
