/** Reads the events of a streamed message, in the form of Anthropic's API, into the events of a generation. */
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
  readonly id: string;
  readonly name: string;
  arguments: string;
  /** What its block began with, where no pieces follow. */
  readonly input: unknown;
}

export class MessageReading implements Reading {
  private readonly events: AnswerEvents;
  /** By the number of their content block. */
  private readonly calls = new Map<number, WrittenCall>();
  private reason: string | undefined;
  private stopSequence = "";
  private promptTokens: number | undefined;
  private cachedPromptTokens = 0;
  private outputTokens: number | undefined;
  private characters = 0;

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
    this.characters += data.length;
    if (this.characters > mostCharacters) throw new AnswerUnreadable(`it is longer than ${mostCharacters} characters`);
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
        throw new BackendSays(event);
      // `ping`, `content_block_stop`, and what the API will have one day.
      default:
    }
  }

  end(): void {
    if (this.isFinished) return;
    const { reason: told, stopSequence, usage, cachedPromptTokens } = this;
    if (told === undefined) throw new AnswerUnreadable("it ends without a stop_reason");
    const reason = finishReasons.get(told);
    if (reason === undefined) throw new AnswerUnreadable(`its stop_reason "${told.slice(0, 64)}" is unknown`);
    const matched =
      reason === "stop-sequence" && stopSequence !== ""
        ? ({ type: "stop-sequence", text: stopSequence } as const)
        : undefined;
    const calls = [...this.calls.values()].map(({ input, ...call }) => ({
      ...call,
      arguments: call.arguments === "" ? JSON.stringify(input ?? {}) : call.arguments,
    }));
    this.events.end({ reason, matched, calls, usage, cachedPromptTokens });
  }

  finish(reason: FinishReason): void {
    // What the server has counted until now is not the whole.
    this.events.finish({ reason, cachedPromptTokens: this.cachedPromptTokens });
  }

  private get usage(): EndUsage | undefined {
    const { promptTokens, outputTokens, events } = this;
    if (promptTokens === undefined || outputTokens === undefined) return undefined;
    const reasoningTokens = Math.min(events.reasoningPieces, outputTokens);
    return { promptTokens, outputTokens, reasoningTokens, estimated: false };
  }

  /** The prompt's tokens that were or will be cached are told apart from the others. */
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
      if (this.calls.size >= mostCalls) throw new AnswerUnreadable(`it makes more than ${mostCalls} tool calls`);
      const { input } = content;
      this.calls.set(block, { id: textOf(content["id"]), name: textOf(content["name"]), arguments: "", input });
    } else this.events.tell(textOf(content["text"]), textOf(content["thinking"]));
  }

  private readDelta(block: number, delta: Members): void {
    if (delta["type"] === "input_json_delta") {
      const call = this.calls.get(block);
      if (call === undefined) throw new AnswerUnreadable("a piece of a tool call of it belongs to no call");
      call.arguments += textOf(delta["partial_json"]);
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
