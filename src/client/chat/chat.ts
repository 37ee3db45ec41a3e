import type { DerivedStream } from "../derived-stream.ts";
import type { GenerationOptions } from "../generation-options.ts";
import type { ChatMessage, ContentPart, Json } from "../messages.ts";
import type { GenerationParameters } from "../parameters.ts";
import type { ToolRunEvent, ToolRunResult } from "../tools/run.ts";
import type { RunnableTool, ToolRunLimits } from "../tools/tool.ts";

/** Options of a conversation. A saved conversation (the result of `JSON.parse(JSON.stringify(chat))`) has this form, too. */
export interface ChatOptions {
  /** The system text. */
  readonly system?: string | undefined;
  /** Earlier messages, without the system text. */
  readonly messages?: readonly ChatMessage[] | undefined;
  /** Functions that the model may call and that the client runs. They are not saved, so pass them again. */
  readonly tools?: readonly RunnableTool[] | undefined;
  /** Parameters of every turn, including the model. */
  readonly parameters?: ChatParameters | undefined;
  /** Extra variables for the model's chat template, e.g. `{ enable_thinking: false }`. */
  readonly templateOptions?: { readonly [name: string]: Json } | undefined;
  /**
   * The header `x-prefix-key` of every turn, by which a load balancer sends a conversation to the host that has its prefix
   * cached; false for none.
   * @default a hash of model, system text, tools and cache partition
   */
  readonly prefixKey?: string | false | undefined;
}

/** Parameters of every turn of a conversation. */
export type ChatParameters = Omit<GenerationParameters, "candidateCount" | "constraint" | "verbatim">;

/** Parameters of one turn, which take precedence over those of the chat, limits of its tools, and options of its calls. */
export type TurnOptions = Omit<GenerationOptions, "candidateCount" | "constraint" | "verbatim"> & ToolRunLimits;

/** A turn of the model as a stream: the events of its generations and of the tools that it calls. */
export type ChatTurn = DerivedStream<ToolRunEvent, ToolRunResult>;

/** Options of {@link Chat.trim}. */
export interface TrimOptions {
  /** Maximum number of prompt tokens, counted by the model's tokenizer. */
  readonly maxPromptTokens: number;
}

/** A conversation as plain JSON. */
export type SavedChat = Pick<ChatOptions, "system" | "messages" | "parameters" | "templateOptions" | "prefixKey">;

/**
 * A conversation: it keeps the turns and sends all of them with each new one. A turn that fails or is left does not change the
 * conversation. There can be one turn at a time.
 */
export interface Chat {
  /** The messages so far, without the system text. */
  readonly messages: readonly ChatMessage[];
  /** The header `x-prefix-key` of every turn; undefined for none. */
  readonly prefixKey: string | undefined;

  /** Sends a message, and returns the whole answer. */
  say(content: string | readonly ContentPart[], options?: TurnOptions): Promise<ToolRunResult>;

  /**
   * Sends a message, and returns the answer as a stream. The turn begins when its first event is requested, after all turns that
   * were completed until then, and is kept once the stream has been read to its end.
   */
  stream(content: string | readonly ContentPart[], options?: TurnOptions): ChatTurn;

  /** Generates another answer to the last message, e.g. with another seed. It replaces the old answer when it is complete. */
  regenerate(options?: TurnOptions): ChatTurn;

  /** Makes an independent copy of the conversation. */
  fork(): Chat;

  /**
   * Removes the oldest turns until the prompt fits. A turn is a user message and everything up to the next one. The system text
   * and the last turn stay.
   *
   * @returns how many messages were removed
   */
  trim(options: TrimOptions): Promise<number>;

  /** Options of `client.chat` that make the same conversation again; images become data URLs. */
  toJSON(): SavedChat;
}
