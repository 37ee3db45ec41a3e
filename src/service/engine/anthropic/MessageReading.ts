/** Reads the events of a streamed message, in the form of Anthropic's API, into the events of a generation. */
import type { FinishReason } from "../../domain/generation-result.ts";
import { AnswerReading } from "../backends/AnswerReading.ts";
import { asObject, countOf, jsonOf, type Members, parseChunk, textOf } from "../backends/chunk-values.ts";
import { AnswerUnreadable, BackendSays } from "../backends/problems.ts";
import type { EndUsage } from "../Engine.ts";

interface WrittenCall {
  readonly id: string;
  readonly name: string;
  arguments: string;
  /** The arguments at the beginning of its block, for a call whose arguments do not come in pieces. */
  readonly input: string;
}

export class MessageReading extends AnswerReading {
  protected readonly reasonField = { field: "stop_reason", reasons: finishReasons };
  /** By the index of their content block. */
  private readonly calls = new Map<number, WrittenCall>();
  private stopSequence = "";
  private promptTokens: number | undefined;
  private outputTokens: number | undefined;

  protected readEvent(data: string): void {
    const event = parseChunk(data);
    switch (event["type"]) {
      case "message_start":
        return this.readUsage(asObject(asObject(event["message"])?.["usage"]));
      case "content_block_start":
        return this.beginBlock(blockOf(event), asObject(event["content_block"]) ?? {});
      case "content_block_delta":
        return this.readDelta(blockOf(event), asObject(event["delta"]) ?? {});
      case "message_delta": {
        const delta = asObject(event["delta"]);
        if (typeof delta?.["stop_reason"] === "string") this.reason = delta["stop_reason"];
        this.stopSequence = textOf(delta?.["stop_sequence"]);
        return this.readUsage(asObject(event["usage"]));
      }
      case "message_stop":
        return this.end();
      case "error":
        throw new BackendSays(data);
      // `ping`, `content_block_stop`, and future events of the API.
      default:
    }
  }

  /** The usage comes in two parts, the second one together with the stop reason. */
  protected get usage(): EndUsage | undefined {
    const { reason, promptTokens, outputTokens, events } = this;
    if (reason === undefined || promptTokens === undefined || outputTokens === undefined) return undefined;
    const reasoningTokens = Math.min(events.reasoningPieces, outputTokens);
    return { promptTokens, outputTokens, reasoningTokens, estimated: false };
  }

  protected completed(reason: FinishReason) {
    const { stopSequence: text } = this;
    return {
      matched: reason === "stop-sequence" && text !== "" ? ({ type: "stop-sequence", text } as const) : undefined,
      calls: [...this.calls.values()].map(({ input, ...call }) => ({ ...call, arguments: call.arguments || input })),
    };
  }

  /** The API reports prompt tokens that were or will be cached separately from the others. */
  private readUsage(usage: Members | undefined): void {
    const input = countOf(usage?.["input_tokens"]);
    if (input !== undefined) {
      const read = countOf(usage?.["cache_read_input_tokens"]) ?? 0;
      this.promptTokens = input + read + (countOf(usage?.["cache_creation_input_tokens"]) ?? 0);
      this.cachedPromptTokens = read;
    }
    this.outputTokens = countOf(usage?.["output_tokens"]) ?? this.outputTokens;
  }

  private beginBlock(block: number, content: Members): void {
    if (content["type"] === "tool_use") {
      this.countCall();
      const input = this.counted(jsonOf(content["input"] ?? {}));
      this.calls.set(block, { id: textOf(content["id"]), name: textOf(content["name"]), arguments: "", input });
    } else this.events.tell(textOf(content["text"]), textOf(content["thinking"]));
  }

  private readDelta(block: number, delta: Members): void {
    if (delta["type"] === "input_json_delta") {
      const call = this.calls.get(block);
      if (call === undefined) throw new AnswerUnreadable("a piece of a tool call of it belongs to no call");
      call.arguments += this.counted(textOf(delta["partial_json"]));
    } else this.events.tell(textOf(delta["text"]), textOf(delta["thinking"]));
  }
}

const blockOf = (event: Members): number => {
  const index = countOf(event["index"]);
  if (index === undefined) throw new AnswerUnreadable("a content block of it has no index");
  return index;
};

const finishReasons: ReadonlyMap<string, FinishReason> = new Map([
  ["end_turn", "end-of-sequence"],
  ["stop_sequence", "stop-sequence"],
  ["max_tokens", "max-output-tokens"],
  ["tool_use", "tool-calls"],
  ["refusal", "content-filter"],
  ["model_context_window_exceeded", "context-length"],
]);
