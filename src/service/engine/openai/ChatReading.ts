/** Reads the chunks of a streamed chat completion into the events of a generation. */
import type { FinishReason } from "../../domain/generation.ts";
import { AnswerEvents, type Reading, type ReadingOptions } from "../backends/AnswerEvents.ts";
import {
  asObject,
  countOf,
  type Members,
  mostCalls,
  mostCharacters,
  parseChunk,
  textOf,
} from "../backends/chunk-values.ts";
import type { EndUsage } from "../Engine.ts";
import { AnswerUnreadable, BackendSays } from "../backends/problems.ts";

interface WrittenCall {
  readonly index: number | undefined;
  id: string;
  name: string;
  arguments: string;
}

export class ChatReading implements Reading {
  private readonly events: AnswerEvents;
  private readonly calls: WrittenCall[] = [];
  private reason: string | undefined;
  private usage: EndUsage | undefined;
  private cachedPromptTokens = 0;
  private bytes = 0;

  constructor(options: ReadingOptions) {
    this.events = new AnswerEvents(options);
  }

  get hasOutput(): boolean {
    return this.events.hasOutput;
  }

  get isFinished(): boolean {
    return this.events.isFinished;
  }

  read(data: string): void {
    if (this.isFinished) return;
    this.bytes += data.length;
    if (this.bytes > mostCharacters) throw new AnswerUnreadable(`it is longer than ${mostCharacters} characters`);
    if (data.trim() === "[DONE]") return this.end();
    const chunk = parseChunk(data);
    if (chunk["error"] !== undefined && chunk["error"] !== null) throw new BackendSays(chunk);
    this.readUsage(asObject(chunk["usage"]));
    const choice = Array.isArray(chunk["choices"]) ? asObject(chunk["choices"][0]) : undefined;
    if (choice === undefined) return;
    const delta = asObject(choice["delta"]) ?? {};
    this.events.tell(textOf(delta["content"]), textOf(delta["reasoning_content"]) || textOf(delta["reasoning"]));
    if (Array.isArray(delta["tool_calls"])) for (const part of delta["tool_calls"]) this.readCall(asObject(part));
    if (typeof choice["finish_reason"] === "string") this.reason = choice["finish_reason"];
  }

  end(): void {
    if (this.isFinished) return;
    const { reason: told, calls, usage, cachedPromptTokens } = this;
    if (told === undefined) throw new AnswerUnreadable("it ends without a finish_reason");
    const reason = finishReasons.get(told);
    if (reason === undefined) throw new AnswerUnreadable(`its finish_reason "${told.slice(0, 64)}" is unknown`);
    this.events.end({ reason, calls, usage, cachedPromptTokens });
  }

  finish(reason: FinishReason): void {
    const { usage, cachedPromptTokens } = this;
    this.events.finish({ reason, usage, cachedPromptTokens });
  }

  private readUsage(usage: Members | undefined): void {
    const [promptTokens, outputTokens] = [countOf(usage?.["prompt_tokens"]), countOf(usage?.["completion_tokens"])];
    if (promptTokens === undefined || outputTokens === undefined) return;
    const ofOutput = asObject(usage?.["completion_tokens_details"]);
    const cached = countOf(asObject(usage?.["prompt_tokens_details"])?.["cached_tokens"]) ?? 0;
    this.cachedPromptTokens = Math.min(cached, promptTokens);
    const counted = countOf(ofOutput?.["reasoning_tokens"]);
    const reasoningTokens = counted ?? Math.min(this.events.reasoningPieces, outputTokens);
    this.usage = { promptTokens, outputTokens, reasoningTokens, estimated: false };
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
}

const finishReasons: ReadonlyMap<string, FinishReason> = new Map([
  ["stop", "end-of-sequence"],
  ["eos", "end-of-sequence"],
  ["length", "max-output-tokens"],
  ["tool_calls", "tool-calls"],
  ["function_call", "tool-calls"],
  ["content_filter", "content-filter"],
]);
