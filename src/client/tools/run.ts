import type { DerivedStream } from "../derived-stream.ts";
import type { MlxdError } from "../errors.ts";
import type { GenerationEvent } from "../events.ts";
import type { GenerationOptions } from "../generation-options.ts";
import type { ChatInput, ChatMessage } from "../messages.ts";
import type { GenerationResult, ToolCall } from "../results.ts";
import type { Usage } from "../usage.ts";
import type { ToolRunLimits } from "./tool.ts";

/** What a run begins with: a text, or a conversation whose tools are those of the run. */
export type ToolRunInput = string | Omit<ChatInput, "tools" | "toolChoice" | "continueFinalMessage">;

/** Limits of the run, and the parameters and options of its generations; `timeoutMs` is for all of it together. */
export type ToolRunOptions = Omit<GenerationOptions, "candidateCount" | "constraint" | "verbatim"> & ToolRunLimits;

/**
 * A step of a run: the events of each round's generation, then a `tool_call` for each call that begins to run and a
 * `tool_result` for each that is over.
 */
export type ToolRunEvent = (GenerationEvent & { readonly round: number }) | ToolCallEvent | ToolResultEvent;

/** A tool begins to run. */
export interface ToolCallEvent {
  readonly type: "tool_call";
  /** The round whose answer made the call, from 1. */
  readonly round: number;
  readonly call: ToolCall;
}

/** A tool has run, or failed. */
export interface ToolResultEvent {
  readonly type: "tool_result";
  readonly round: number;
  readonly call: ToolCall;
  /** What the model is told. */
  readonly content: string;
  /** Why it failed, where it did. */
  readonly error: MlxdError | undefined;
}

/** What a run came to: its last answer's result, in which no tool is called. */
export interface ToolRunResult extends GenerationResult {
  /** The conversation with every turn of the run, the last answer included. */
  readonly messages: readonly ChatMessage[];
  /** Answers of the model. */
  readonly rounds: number;
  /** Tokens spent, over all rounds. */
  readonly totalUsage: Usage;
}

/** A run of tools as it goes. */
export type ToolRun = DerivedStream<ToolRunEvent, ToolRunResult>;
