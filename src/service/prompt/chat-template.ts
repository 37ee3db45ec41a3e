/** Conversations into prompts, by the model's own template, as transformers' apply_chat_template does. */
import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";

import type { StandInTemplate } from "../domain/family.ts";
import type { ChatInput } from "../domain/generation.ts";
import { type ChatTemplates, readChatTemplates } from "./chat-template-source.ts";
import { foldSystemText, type TemplateMessage, toTemplateMessages, toTemplateTools } from "./chat-template-values.ts";
import { specialTokens } from "./special-tokens.ts";
import { strftime } from "./strftime.ts";

/** Renders a conversation into the text that the model continues. */
export interface ChatTemplate {
  /**
   * The text holds its special tokens already (templates write them, the beginning of the sequence too): it is tokenised
   * without adding any. Throws ChatTemplateRefused where the template refuses the conversation.
   */
  readonly render: (chat: ChatInput) => string;
}

/** The template cannot write this conversation: a role it does not know, turns that do not alternate, ... */
export class ChatTemplateRefused extends Error {
  override readonly name = "ChatTemplateRefused";
  /** One sentence, the template's own where it has one. */
  readonly reason: string;

  constructor(reason: string) {
    super(reason);
    this.reason = reason.slice(0, reasonMaxLength);
  }
}

export interface ChatTemplateOptions {
  /** tokenizer_config.json, decoded. */
  readonly tokenizerConfig: object;
  /** chat_template.jinja's text, or chat_template.json's value: wins over tokenizer_config.json's. */
  readonly chatTemplateFile?: unknown;
  /**
   * False for a family without a system role: where its template refuses the system text or leaves it out, the text goes
   * in front of the first user message.
   *
   * @default true
   */
  readonly systemRole?: boolean;
  /** Written in where the model has no template. @default ChatML */
  readonly standIn?: StandInTemplate;
  /** For templates that write today's date. @default the clock */
  readonly now?: () => Date;
}

/** Throws the library's plain Error where the template is no template. */
export const createChatTemplate = (options: ChatTemplateOptions): ChatTemplate => {
  const templates = readChatTemplates(options.tokenizerConfig, options.chatTemplateFile, options.standIn);
  const programs = { chat: compile(templates.chat), tools: compile(templates.tools) };
  const tokens = specialTokens(options.tokenizerConfig);
  const now = options.now ?? (() => new Date());

  const renderMessages = (messages: ReadonlyArray<TemplateMessage>, chat: ChatInput): string => {
    const tools = toTemplateTools(chat);
    const environment = new Environment();
    const set = (values: Readonly<Record<string, unknown>>) => {
      for (const [name, value] of Object.entries(values)) environment.set(name, value);
    };
    set(globals(now));
    set({ ...tokens, documents: null, ...checkOptions(chat.templateOptions) });
    set({ messages, tools: tools.length > 0 ? tools : null, add_generation_prompt: !chat.continueFinalMessage });
    try {
      return String(new Interpreter(environment).run(programs[tools.length > 0 ? "tools" : "chat"]).value);
    } catch (error) {
      if (error instanceof ChatTemplateRefused) throw error;
      throw new ChatTemplateRefused(`the chat template fails on this conversation: ${messageOf(error)}`);
    }
  };

  return {
    render: (chat) => {
      const messages = toTemplateMessages(chat, { developerRole: mentionsDeveloper(templates) });
      const render = (turns: ReadonlyArray<TemplateMessage>) =>
        chat.continueFinalMessage
          ? renderOpen(turns, (open) => renderMessages(open, chat))
          : renderMessages(turns, chat);
      const system = messages.filter(({ role }) => role === "system").map(({ content }) => content.trim());
      if (options.systemRole !== false || system.length === 0) return render(messages);
      const asIs = templates.isFallback ? undefined : attempt(() => render(messages));
      return asIs !== undefined && system.every((text) => asIs.includes(text))
        ? asIs
        : render(foldSystemText(messages));
    },
  };
};

/** The last message's turn is left open: the text ends with its content. */
const renderOpen = (
  messages: ReadonlyArray<TemplateMessage>,
  render: (messages: ReadonlyArray<TemplateMessage>) => string,
): string => {
  const last = messages.at(-1);
  if (last === undefined || last.content === "") {
    throw new ChatTemplateRefused("the final message has no content to continue");
  }
  const text = render([...messages.slice(0, -1), { ...last, content: last.content + openEnd }]);
  const end = text.lastIndexOf(openEnd.trimEnd());
  if (end < 0)
    throw new ChatTemplateRefused("the chat template leaves out the final message, so it cannot be continued");
  // A template that trims contents has cut the marker's space: it would have trimmed the content's too.
  const trims = !text.startsWith(openEnd, end);
  return trims ? text.slice(0, end).trimEnd() : text.slice(0, end);
};

/** transformers' own marker; its last occurrence is the appended one. */
const openEnd = "CONTINUE_FINAL_MESSAGE_TAG ";

const compile = (source: string) => parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));

const mentionsDeveloper = ({ chat, tools }: ChatTemplates) => /\bdeveloper\b/.test(chat + tools);

/** Jinja's, and transformers' two functions. */
const globals = (now: () => Date): Readonly<Record<string, unknown>> => ({
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  range: (...bounds: ReadonlyArray<number>) => range(bounds),
  raise_exception: (reason: unknown) => {
    throw new ChatTemplateRefused(String(reason));
  },
  // Not the library's, which writes the months in the machine's language.
  strftime_now: (format: unknown) => strftime(now(), String(format)),
});

const reservedOptions = new Set([
  ...Object.keys(globals(() => new Date(0))),
  "namespace",
  "messages",
  "tools",
  "add_generation_prompt",
  "continue_final_message",
]);

const checkOptions = (options: ChatInput["templateOptions"]) => {
  const reserved = Object.keys(options).find((name) => reservedOptions.has(name));
  if (reserved !== undefined)
    throw new ChatTemplateRefused(`the template option "${reserved}" is not the caller's to set`);
  return options;
};

const range = (bounds: ReadonlyArray<number>): ReadonlyArray<number> => {
  const [start, stop] = bounds.length > 1 ? bounds : [0, ...bounds];
  const step = bounds[2] ?? 1;
  const length = Math.max(0, Math.ceil(((stop ?? 0) - (start ?? 0)) / step));
  return Array.from({ length }, (_, index) => (start ?? 0) + index * step);
};

const attempt = (render: () => string): string | undefined => {
  try {
    return render();
  } catch (error) {
    if (error instanceof ChatTemplateRefused) return undefined;
    throw error;
  }
};

const messageOf = (error: unknown) => (error instanceof Error ? error.message : "an unknown error");

/** Keeps error messages under the limits of the wire, whatever a template writes into them. */
const reasonMaxLength = 300;
