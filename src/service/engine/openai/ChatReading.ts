/** Reads the chunks of a streamed chat or text completion into the events of a generation. */
import type { FinishReason, TokenLogprob } from "../../domain/generation-result.ts";
import { AnswerReading } from "../backends/AnswerReading.ts";
import { asObject, countOf, jsonOf, type Members, parseChunk, textOf } from "../backends/chunk-values.ts";
import { AnswerUnreadable, BackendSays, OptionRefused } from "../backends/problems.ts";
import type { EndUsage } from "../Engine.ts";
import { readLogprobs } from "./read-logprobs.ts";

interface WrittenCall {
  readonly index: number | undefined;
  id: string;
  name: string;
  arguments: string;
}

export class ChatReading extends AnswerReading {
  protected readonly reasonField = { field: "finish_reason", reasons: finishReasons };
  protected usage: EndUsage | undefined;
  private readonly calls: WrittenCall[] = [];
  private logprobCount = 0;

  protected readEvent(data: string): void {
    if (data.trim() === "[DONE]") return this.end();
    const chunk = parseChunk(data);
    if (chunk["error"] !== undefined && chunk["error"] !== null) throw new BackendSays(data);
    this.readUsage(asObject(chunk["usage"]));
    const choice = Array.isArray(chunk["choices"]) ? asObject(chunk["choices"][0]) : undefined;
    if (choice === undefined) return;
    const delta = asObject(choice["delta"]) ?? {};
    const text = textOf(delta["content"]) || textOf(choice["text"]);
    const reasoning = textOf(delta["reasoning_content"]) || textOf(delta["reasoning"]);
    this.events.tell(text, reasoning, { logprobs: this.logprobsOf(choice, text) });
    if (Array.isArray(delta["tool_calls"])) for (const part of delta["tool_calls"]) this.readCall(asObject(part));
    if (typeof choice["finish_reason"] === "string") this.reason = choice["finish_reason"];
  }

  protected completed() {
    return { calls: this.calls };
  }

  private logprobsOf(choice: Members, text: string): ReadonlyArray<TokenLogprob> {
    const { topLogprobs } = this.options;
    if (topLogprobs === undefined) return [];
    const logprobs = readLogprobs(choice["logprobs"], topLogprobs);
    // There are servers that take the option and do nothing.
    if (text !== "" && logprobs.length === 0 && this.logprobCount === 0)
      throw new OptionRefused("output.top_logprobs", notHeeded, "request");
    this.logprobCount += logprobs.reduce((sum, { top }) => sum + 1 + top.length, 0);
    if (this.logprobCount > mostLogprobs) throw new AnswerUnreadable(`it has more than ${mostLogprobs} logprobs`);
    return logprobs;
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
    // Some servers give every call the index 0, and some give none, so a different id also means a different call.
    const goesOn = (call: WrittenCall) =>
      (index === undefined || call.index === index) && (id === "" || call.id === "" || call.id === id);
    let call = this.calls.findLast(goesOn);
    if (call === undefined) {
      this.countCall();
      call = { index, id: "", name: "", arguments: "" };
      this.calls.push(call);
    }
    if (id !== "") call.id = id;
    if (call.name === "") call.name = textOf(written["name"]);
    const { arguments: given } = written;
    call.arguments += this.counted(typeof given === "object" && given !== null ? jsonOf(given) : textOf(given));
  }
}

/** With those of alternatives: 20 alternatives for each of 49,932 tokens. In memory they take many times their JSON. */
const mostLogprobs = 1024 ** 2;

const notHeeded = "takes it and does not heed it";

const finishReasons: ReadonlyMap<string, FinishReason> = new Map([
  ["stop", "end-of-sequence"],
  ["eos", "end-of-sequence"],
  ["length", "max-output-tokens"],
  ["tool_calls", "tool-calls"],
  ["function_call", "tool-calls"],
  ["content_filter", "content-filter"],
]);
