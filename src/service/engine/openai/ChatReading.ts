/** Reads the chunks of a streamed chat completion into the events of a generation. */
import type { ChatInput, FinishReason, OutputWarning, ToolCallDelta } from "../../domain/generation.ts";
import { createToolSet } from "../../output/tool-set.ts";
import type { EndUsage, EngineEvent } from "../Engine.ts";
import { AnswerUnreadable, BackendSays } from "./problems.ts";

interface ReadingOptions {
  readonly tools: ChatInput["tools"];
  /** Of the prompt, where the server tells none. */
  readonly estimatedPromptTokens: number;
  readonly onEvent: (event: EngineEvent) => void;
}

interface WrittenCall {
  readonly index: number | undefined;
  id: string;
  name: string;
  arguments: string;
}

export class ChatReading {
  /** Whether some of the output was told. */
  hasOutput = false;
  /** Its last event was told. */
  isFinished = false;
  private readonly options: ReadingOptions;
  private readonly calls: WrittenCall[] = [];
  private reason: string | undefined;
  private usage: EndUsage | undefined;
  private cachedPromptTokens = 0;
  /** Pieces of text and reasoning: about a token each. */
  private pieces = 0;
  private reasoningPieces = 0;
  private bytes = 0;
  private heldText = "";
  private heldReasoning = "";

  constructor(options: ReadingOptions) {
    this.options = options;
  }

  /** @param data of one event of the stream. Throws AnswerUnreadable, and BackendSays for an error that the stream tells. */
  read(data: string): void {
    if (this.isFinished) return;
    this.bytes += data.length;
    if (this.bytes > mostCharacters) throw new AnswerUnreadable(`it is longer than ${mostCharacters} characters`);
    if (data.trim() === "[DONE]") return this.end();
    const chunk = asObject(parse(data));
    if (chunk === undefined) throw new AnswerUnreadable("a chunk of it is no JSON object");
    if (chunk["error"] !== undefined && chunk["error"] !== null) throw new BackendSays(chunk);
    this.readUsage(asObject(chunk["usage"]));
    const choice = Array.isArray(chunk["choices"]) ? asObject(chunk["choices"][0]) : undefined;
    if (choice === undefined) return;
    const delta = asObject(choice["delta"]) ?? {};
    this.tell(textOf(delta["content"]), textOf(delta["reasoning_content"]) || textOf(delta["reasoning"]));
    if (Array.isArray(delta["tool_calls"])) for (const part of delta["tool_calls"]) this.readCall(asObject(part));
    if (typeof choice["finish_reason"] === "string") this.reason = choice["finish_reason"];
  }

  /** The stream is over. Throws AnswerUnreadable where the answer is not. */
  end(): void {
    if (this.isFinished) return;
    const { reason } = this;
    if (reason === undefined) throw new AnswerUnreadable("it ends without a finish_reason");
    const told = finishReasons.get(reason);
    if (told === undefined) throw new AnswerUnreadable(`its finish_reason "${reason.slice(0, 64)}" is unknown`);
    const { toolCalls, warnings, text } = this.readCalls();
    this.tell(text, "", toolCalls, true);
    const isCall = told === "tool-calls" || (told === "end-of-sequence" && this.calls.length > 0);
    this.finish(isCall ? (toolCalls.length > 0 ? "tool-calls" : "end-of-sequence") : told, warnings);
  }

  /** With what there is. */
  finish(reason: FinishReason, warnings: ReadonlyArray<OutputWarning> = []): void {
    if (this.isFinished) return;
    this.isFinished = true;
    const { cachedPromptTokens, usage = this.estimate } = this;
    this.options.onEvent({ type: "finished", reason, matched: undefined, cachedPromptTokens, usage, warnings });
  }

  private get estimate(): EndUsage {
    const { pieces: outputTokens, reasoningPieces: reasoningTokens } = this;
    return { promptTokens: this.options.estimatedPromptTokens, outputTokens, reasoningTokens, estimated: true };
  }

  private readUsage(usage: Members | undefined): void {
    const [promptTokens, outputTokens] = [countOf(usage?.["prompt_tokens"]), countOf(usage?.["completion_tokens"])];
    if (promptTokens === undefined || outputTokens === undefined) return;
    const ofOutput = asObject(usage?.["completion_tokens_details"]);
    const cached = countOf(asObject(usage?.["prompt_tokens_details"])?.["cached_tokens"]) ?? 0;
    this.cachedPromptTokens = Math.min(cached, promptTokens);
    const reasoningTokens = countOf(ofOutput?.["reasoning_tokens"]) ?? Math.min(this.reasoningPieces, outputTokens);
    this.usage = { promptTokens, outputTokens, reasoningTokens, estimated: false };
  }

  /** A character may be cut in two: its first half waits for the second. */
  private tell(text: string, reasoning: string, toolCalls: ReadonlyArray<ToolCallDelta> = [], isLast = false): void {
    if (text === "" && reasoning === "" && toolCalls.length === 0 && !isLast) return;
    const [wholeText, heldText] = split(this.heldText + text, isLast);
    const [wholeReasoning, heldReasoning] = split(this.heldReasoning + reasoning, isLast);
    this.heldText = heldText;
    this.heldReasoning = heldReasoning;
    if (wholeText === "" && wholeReasoning === "" && toolCalls.length === 0) return;
    const reasoningTokens = wholeReasoning === "" || wholeText !== "" ? 0 : 1;
    this.pieces += 1;
    this.reasoningPieces += reasoningTokens;
    this.hasOutput = true;
    const nothing = { tokenIds: [], logprobs: [] };
    const told = { text: wholeText, reasoning: wholeReasoning, toolCalls, tokens: 1, reasoningTokens };
    this.options.onEvent({ type: "output", ...nothing, ...told });
  }

  private readCall(part: Members | undefined): void {
    if (part === undefined) throw new AnswerUnreadable("a tool call of it is no JSON object");
    const index = countOf(part["index"]);
    const id = textOf(part["id"]);
    const written = asObject(part["function"]) ?? {};
    // Some servers number every call 0, and some number none: another id is another call.
    const goesOn = (call: WrittenCall) =>
      (index === undefined || call.index === index) && (id === "" || call.id === "" || call.id === id);
    let call = this.calls.findLast(goesOn);
    if (call === undefined) {
      if (this.calls.length >= mostCalls) throw new AnswerUnreadable(`it makes more than ${mostCalls} tool calls`);
      call = { index, id: "", name: "", arguments: "" };
      this.calls.push(call);
    }
    if (id !== "") call.id = id;
    if (call.name === "") call.name = textOf(written["name"]);
    const { arguments: given } = written;
    call.arguments += typeof given === "object" && given !== null ? JSON.stringify(given) : textOf(given);
  }

  /** Calls that cannot be made are text, and a warning says why. */
  private readCalls() {
    const tools = createToolSet(this.options.tools);
    const toolCalls: ToolCallDelta[] = [];
    const warnings: OutputWarning[] = [];
    let text = "";
    for (const call of this.calls) {
      const written = call.arguments.trim() === "" ? "{}" : call.arguments;
      const problem = tools.problem(call.name, written);
      if (problem === undefined) {
        const index = toolCalls.length;
        toolCalls.push({ index, id: call.id === "" ? `call_${index}` : call.id, name: call.name, arguments: written });
      } else {
        warnings.push(problem);
        text += `{"name": ${JSON.stringify(call.name)}, "arguments": ${written}}`;
      }
    }
    return { toolCalls, warnings, text };
  }
}

type Members = Readonly<Record<string, unknown>>;

/** Of all events of an answer together: far more than a model writes. */
const mostCharacters = 64 * 1024 ** 2;
const mostCalls = 128;

const finishReasons: ReadonlyMap<string, FinishReason> = new Map([
  ["stop", "end-of-sequence"],
  ["eos", "end-of-sequence"],
  ["length", "max-output-tokens"],
  ["tool_calls", "tool-calls"],
  ["function_call", "tool-calls"],
]);

const parse = (data: string): unknown => {
  try {
    return JSON.parse(data);
  } catch {
    throw new AnswerUnreadable("a chunk of it is no JSON");
  }
};

const asObject = (value: unknown): Members | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Members) : undefined;

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

const countOf = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 32 ? value : undefined;

const split = (text: string, isLast: boolean): readonly [string, string] => {
  const last = text.charCodeAt(text.length - 1);
  const at = !isLast && last >= 0xd800 && last <= 0xdbff ? text.length - 1 : text.length;
  return [text.slice(0, at).toWellFormed(), text.slice(at)];
};
