import { checkKeys, checkList, checkObject, checkText, checkWhole } from "../check.ts";
import type { MlxdClient } from "../client.ts";
import { DerivedStream } from "../derived-stream.ts";
import { invalidField, MlxdError } from "../errors.ts";
import { createHeaders } from "../headers.ts";
import type { ChatMessage, ContentPart, Tool } from "../messages.ts";
import { readSchema } from "../objects/object-schema.ts";
import type { ToolRunEvent, ToolRunResult } from "../tools/run.ts";
import type { RunnableTool } from "../tools/tool.ts";
import type { Chat, ChatOptions, ChatTurn, SavedChat, TrimOptions, TurnOptions } from "./chat.ts";
import { prefixKeyOf } from "./prefix-key.ts";

type Calls = Pick<MlxdClient, "runTools" | "countTokens">;

/** `client.chat`, which uses the given calls for its turns. */
export const createChatCalls = (client: Calls, defaultModel: string): Pick<MlxdClient, "chat"> => ({
  chat: (options = {}) => new Conversation(client, checkChat(options), defaultModel),
});

const optionNames = ["system", "messages", "tools", "parameters", "templateOptions", "prefixKey"];

const checkChat = (options: ChatOptions): ChatOptions => {
  checkKeys(checkObject(options, "options"), "", optionNames, "option of a chat");
  const { system, messages = [], prefixKey } = options;
  if (system !== undefined) checkText(system, "system");
  checkList(messages, "messages");
  if (prefixKey !== undefined && prefixKey !== false)
    createHeaders({ "x-prefix-key": checkText(prefixKey, "prefixKey") });
  return options;
};

class Conversation implements Chat {
  readonly prefixKey: string | undefined;
  readonly #client: Calls;
  readonly #options: ChatOptions;
  readonly #model: string;
  #messages: readonly ChatMessage[];
  /** The signal of the current turn, or of what trims the conversation. */
  #turn: AbortSignal | undefined;

  constructor(client: Calls, options: ChatOptions, model: string) {
    this.#client = client;
    this.#options = options;
    this.#model = model;
    this.#messages = [...(options.messages ?? [])];
    this.prefixKey = options.prefixKey === false ? undefined : (options.prefixKey ?? this.#hash());
  }

  get messages(): readonly ChatMessage[] {
    return this.#messages;
  }

  say(content: string | readonly ContentPart[], options?: TurnOptions): Promise<ToolRunResult> {
    // Within a promise, so that invalid arguments reject it as well.
    return Promise.resolve().then(() => this.stream(content, options).collect());
  }

  stream(content: string | readonly ContentPart[], options: TurnOptions = {}): ChatTurn {
    return this.#begin(() => [...this.#messages, { role: "user", content }], options);
  }

  regenerate(options: TurnOptions = {}): ChatTurn {
    return this.#begin(() => {
      const said = this.#messages.findLastIndex(({ role }) => role === "user");
      if (said < 0) throw invalidField("messages", "there is no user message to answer again");
      return this.#messages.slice(0, said + 1);
    }, options);
  }

  fork(): Chat {
    return new Conversation(this.#client, { ...this.#options, messages: this.#messages }, this.#model);
  }

  async trim({ maxPromptTokens }: TrimOptions): Promise<number> {
    const most = checkWhole(maxPromptTokens, "maxPromptTokens", 1);
    this.#assertIdle();
    // Nothing else may change the messages that are being counted.
    const trimming = new AbortController().signal;
    this.#turn = trimming;
    try {
      const from = await this.#countToTrim(most);
      this.#messages = this.#messages.slice(from);
      return from;
    } finally {
      if (this.#turn === trimming) this.#turn = undefined;
    }
  }

  /** How many messages have to go. */
  async #countToTrim(most: number): Promise<number> {
    const all = this.#messages;
    // Turns begin at user messages, so that tool calls stay with their results.
    const starts = all.flatMap(({ role }, index) => (role === "user" ? [index] : []));
    if (starts.length === 0) return 0;
    // A binary search for the fewest turns to remove: removing more never adds tokens.
    let [least, enough] = [0, starts.length - 1];
    while (least < enough) {
      const middle = Math.floor((least + enough) / 2);
      if ((await this.#countFrom(starts[middle] ?? 0)) <= most) enough = middle;
      else least = middle + 1;
    }
    // Messages before the first turn, such as a greeting, are removed with it.
    return least === 0 ? 0 : (starts[least] ?? 0);
  }

  toJSON(): SavedChat {
    const { system, parameters, templateOptions, prefixKey } = this.#options;
    return {
      ...(system !== undefined && { system }),
      messages: this.#messages.map(savedMessage),
      ...(parameters !== undefined && { parameters }),
      ...(templateOptions !== undefined && { templateOptions }),
      ...(prefixKey !== undefined && { prefixKey }),
    };
  }

  /** @param asked the messages to answer, of the conversation as it is when the turn begins: when its stream is first read */
  #begin(asked: () => readonly ChatMessage[], options: TurnOptions): ChatTurn {
    this.#assertIdle();
    const { signal, ...others } = this.#callOptions(options);
    this.#answer(asked(), others); // makes no call yet, but refuses invalid arguments now
    return new DerivedStream((own) => this.#run(asked, others, own), signal);
  }

  async *#run(
    asked: () => readonly ChatMessage[],
    options: TurnOptions,
    signal: AbortSignal,
  ): AsyncGenerator<ToolRunEvent, ToolRunResult, undefined> {
    this.#assertIdle();
    this.#turn = signal;
    try {
      const run = this.#answer(asked(), { ...options, signal });
      for await (const event of run) yield event;
      const result = await run.collect();
      const turns = result.messages.slice(this.#options.system === undefined ? 0 : 1);
      this.#messages = turns;
      return { ...result, messages: turns };
    } finally {
      if (this.#turn === signal) this.#turn = undefined;
    }
  }

  #answer(messages: readonly ChatMessage[], options: TurnOptions) {
    return this.#client.runTools(this.#options.tools ?? [], this.#input(messages), options);
  }

  #input(messages: readonly ChatMessage[]) {
    const { system, templateOptions } = this.#options;
    return {
      messages: system === undefined ? messages : [{ role: "system", content: system } as const, ...messages],
      ...(templateOptions !== undefined && { templateOptions }),
    };
  }

  #callOptions(options: TurnOptions): TurnOptions {
    const headers = createHeaders(checkObject(options, "options")["headers"]);
    if (this.prefixKey !== undefined && !headers.has("x-prefix-key")) headers.set("x-prefix-key", this.prefixKey);
    return { ...this.#options.parameters, ...options, headers };
  }

  async #countFrom(start: number): Promise<number> {
    const { parameters, tools = [] } = this.#options;
    const input = { ...this.#input(this.#messages.slice(start)), tools: tools.map(toolOf) };
    const { promptTokens } = await this.#client.countTokens(input, { ...parameters });
    return promptTokens;
  }

  #hash(): string {
    const { system = "", tools = [], parameters = {} } = this.#options;
    return prefixKeyOf(parameters.model ?? this.#model, system, tools.map(toolOf), parameters.cache?.partition ?? "");
  }

  #assertIdle(): void {
    if (this.#turn === undefined || this.#turn.aborted) return;
    throw new MlxdError({
      code: "FAILED_PRECONDITION",
      reason: "TURN_UNDER_WAY",
      message:
        "this conversation already has a turn under way, or is being trimmed: read the turn to its end or leave it; fork() makes " +
        "an independent conversation",
    });
  }
}

const toolOf = ({ name, description, parameters }: RunnableTool): Tool => ({
  name,
  ...(description !== undefined && { description }),
  parameters: readSchema(parameters ?? { type: "object" }, "parameters").jsonSchema,
});

/** The message as JSON. */
const savedMessage = (message: ChatMessage): ChatMessage =>
  typeof message.content === "object" ? { ...message, content: message.content.map(savedPart) } : message;

const savedPart = (part: ContentPart): ContentPart => {
  if (!("image" in part) || typeof part.image === "string") return part;
  if (part.image instanceof URL) return { ...part, image: part.image.href };
  const bytes = Array.from(part.image, (byte) => String.fromCharCode(byte)).join("");
  return { ...part, image: `data:${part.mediaType ?? "application/octet-stream"};base64,${btoa(bytes)}` };
};
