import type { DerivedStream } from "../derived-stream.ts";
import type { MlxdError } from "../errors.ts";
import type { GenerationEvent } from "../events.ts";
import type { GenerationOptions } from "../generation-options.ts";
import type { ChatInput, ChatMessage } from "../messages.ts";
import type { GenerationResult, ToolCall } from "../results.ts";
import type { Usage } from "../usage.ts";
import type { ToolRunLimits } from "./tool.ts";

/** The input of a run: a text, or a conversation without tools, which the run has. */
export type ToolRunInput = string | Omit<ChatInput, "tools" | "toolChoice" | "continueFinalMessage">;

/** Limits of the run, and parameters and options of its generations; `timeoutMs` applies to the run as a whole. */
export type ToolRunOptions = Omit<GenerationOptions, "candidateCount" | "constraint" | "verbatim"> & ToolRunLimits;

/**
 * An event of a run: those of each round's generation, then a `tool_call` when a tool begins to run and a `tool_result` when it
 * has ended.
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
  /** What the model gets. */
  readonly content: string;
  /** Why it failed; undefined if it did not. */
  readonly error: MlxdError | undefined;
}

/** The result of a run: its last answer, which calls no tool. */
export interface ToolRunResult extends GenerationResult {
  /** The conversation with all messages of the run, including the last answer. */
  readonly messages: readonly ChatMessage[];
  /** Number of answers of the model. */
  readonly rounds: number;
  /** Tokens used, over all rounds. */
  readonly totalUsage: Usage;
}

/** The stream of a run. */
export type ToolRun = DerivedStream<ToolRunEvent, ToolRunResult>;
