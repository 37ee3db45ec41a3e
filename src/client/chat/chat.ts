import type { DerivedStream } from "../derived-stream.ts";
import type { GenerationOptions } from "../generation-options.ts";
import type { ChatMessage, ContentPart, Json } from "../messages.ts";
import type { GenerationParameters } from "../parameters.ts";
import type { ToolRunEvent, ToolRunResult } from "../tools/run.ts";
import type { RunnableTool, ToolRunLimits } from "../tools/tool.ts";

/** What a conversation begins with. A saved one (`JSON.parse` of what `JSON.stringify` made of a chat) is such options. */
export interface ChatOptions {
  /** The system text, told to the model before everything else. */
  readonly system?: string | undefined;
  /** Turns that were made before, without the system text. */
  readonly messages?: readonly ChatMessage[] | undefined;
  /** Functions that the model may call; the client runs them. They are not saved: give them again. */
  readonly tools?: readonly RunnableTool[] | undefined;
  /** Parameters of every turn, the model among them. */
  readonly parameters?: ChatParameters | undefined;
  /** Extra variables for the model's chat template, e.g. `{ enable_thinking: false }`. */
  readonly templateOptions?: { readonly [name: string]: Json } | undefined;
  /**
   * The header `x-prefix-key` of every turn, by which a load balancer keeps a conversation where its beginning is
   * cached; false for none.
   * @default a hash of model, system text, tools and cache partition
   */
  readonly prefixKey?: string | false | undefined;
}

/** Parameters of every turn of a conversation. */
export type ChatParameters = Omit<GenerationParameters, "candidateCount" | "constraint" | "verbatim">;

/** Parameters of one turn, which go before the chat's, limits of its tools, and options of its calls. */
export type TurnOptions = Omit<GenerationOptions, "candidateCount" | "constraint" | "verbatim"> & ToolRunLimits;

/** One turn of the model, as it comes: the events of its generations and of the tools that it called. */
export type ChatTurn = DerivedStream<ToolRunEvent, ToolRunResult>;

/** What of a conversation is to be kept. */
export interface TrimOptions {
  /** Tokens of the prompt at most, as the model counts them. */
  readonly maxPromptTokens: number;
}

/** A conversation as plain JSON. */
export type SavedChat = Pick<ChatOptions, "system" | "messages" | "parameters" | "templateOptions" | "prefixKey">;

/**
 * A conversation: it keeps the turns, and sends all of them with each new one. A turn that fails or is left leaves the
 * conversation as it was. There is one turn at a time.
 */
export interface Chat {
  /** The turns so far, without the system text. */
  readonly messages: readonly ChatMessage[];
  /** The header `x-prefix-key` of every turn; undefined for none. */
  readonly prefixKey: string | undefined;

  /** Says something, and returns the whole answer. */
  say(content: string | readonly ContentPart[], options?: TurnOptions): Promise<ToolRunResult>;

  /** Says something, and returns the answer as it comes. The turn is kept once it was read to its end. */
  stream(content: string | readonly ContentPart[], options?: TurnOptions): ChatTurn;

  /** Has the last thing that was said answered anew, e.g. with another seed. The old answer goes when the new one is there. */
  regenerate(options?: TurnOptions): ChatTurn;

  /** A conversation of its own with the same turns. */
  fork(): Chat;

  /**
   * Drops the oldest turns - something said and everything up to the next - until the prompt fits. The system text and the
   * last turn stay.
   *
   * @returns how many messages were dropped
   */
  trim(options: TrimOptions): Promise<number>;

  /** What `client.chat` makes the same conversation of; images become data URLs. */
  toJSON(): SavedChat;
}
