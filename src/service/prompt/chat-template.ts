/** Conversations into prompts, by the model's own template, as transformers' apply_chat_template does. */
import type { StandInTemplate } from "../domain/family.ts";
import type { ChatInput, Tool } from "../domain/generation.ts";
import { readChatTemplates } from "./chat-template-source.ts";
import {
  contentOf,
  foldSystemText,
  functionsAsText,
  isOf,
  type MessageForms,
  offeredTools,
  type TemplateMessage,
  toTemplateFunction,
  toTemplateMessage,
  toTemplateTool,
  withContent,
} from "./chat-template-values.ts";
import { valueOf } from "./jinja/exact-json.ts";
import { Work } from "./jinja/scope.ts";
import { str } from "./jinja/python-text.ts";
import { compileTemplate } from "./jinja/template.ts";
import { Callable, TemplateError, type Value } from "./jinja/values.ts";
import { reservedOptions } from "./reserved-options.ts";
import { specialTokens } from "./special-tokens.ts";
import { strftime } from "./strftime.ts";
import {
  findToolsPlace,
  type ProbedTemplate,
  probeTemplate,
  type TemplateShape,
  type ToolsPlace,
} from "./template-shape.ts";

/** Renders a conversation into the text that the model continues. */
export interface ChatTemplate {
  /**
   * The text holds its special tokens already (templates write them, the beginning of the sequence too): it is tokenised
   * without adding any. Throws ChatTemplateRefused where the template refuses the conversation.
   */
  readonly render: (chat: ChatInput) => string;
  /** Where tools go; undefined where it writes none. Quickly told, other than the rest of its shape. */
  readonly tools: ToolsPlace | undefined;
  readonly shape: TemplateShape;
}

/** The template cannot write this conversation: a role it does not know, turns that do not alternate, ... */
export class ChatTemplateRefused extends Error {
  override readonly name = "ChatTemplateRefused";
  /** One sentence, the template's own where it has one. */
  readonly reason: string;
  /** `refusal`: by its own decision. `fault`: it fails. `depth`: what it has to write is nested too deep. */
  readonly kind: "refusal" | "fault" | "depth";

  constructor(reason: string, kind: ChatTemplateRefused["kind"] = "refusal") {
    super(reason);
    this.reason = reason.slice(0, reasonMaxLength);
    this.kind = kind;
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

/** Throws TemplateError where the template is no template. */
export const createChatTemplate = (options: ChatTemplateOptions): ChatTemplate => {
  const templates = readChatTemplates(options.tokenizerConfig, options.chatTemplateFile, options.standIn);
  const chatProgram = compileTemplate(templates.chat);
  const programs = {
    chat: chatProgram,
    tools: templates.tools === templates.chat ? chatProgram : compileTemplate(templates.tools),
  };
  const tokens = Object.entries(specialTokens(options.tokenizerConfig)).map(
    ([name, value]): readonly [string, Value] => [name, typeof value === "string" ? value : [...value]],
  );
  const now = options.now ?? (() => new Date());
  const names = [programs.chat, programs.tools].flatMap((program) => [...program.names]);
  const known = new Set([...reservedOptions, ...tokens.map(([name]) => name)]);

  const renderMessages = (
    messages: ReadonlyArray<TemplateMessage>,
    chat: ChatInput,
    place: ToolsPlace,
    work?: Work,
  ): string => {
    const tools = offeredTools(chat);
    const isVariable = tools.length > 0 && place === "variable";
    const values: ReadonlyArray<readonly [string, Value]> = [
      ...functions(now),
      ...tokens,
      ["documents", null],
      ...optionsOf(chat.templateOptions),
      ["messages", isVariable ? messages : withSystemTools(messages, tools, place)],
      ["tools", isVariable ? tools.map(toTemplateTool) : null],
      ["add_generation_prompt", !chat.continueFinalMessage],
    ];
    try {
      return programs[isVariable ? "tools" : "chat"].render(values, work);
    } catch (error) {
      if (error instanceof ChatTemplateRefused || isTooLarge(error)) throw error;
      if (!(error instanceof TemplateError || error instanceof RangeError)) throw error;
      const kind = error instanceof RangeError ? "depth" : "fault";
      throw new ChatTemplateRefused(`the chat template fails on this conversation: ${error.message}`, kind);
    }
  };

  const renderChat = (chat: ChatInput, place: ToolsPlace, forms: MessageForms, work?: Work): string => {
    const messages = chat.messages.map((message) => toTemplateMessage(message, forms));
    const render = (turns: ReadonlyArray<TemplateMessage>) =>
      chat.continueFinalMessage
        ? renderOpen(turns, (open) => renderMessages(open, chat, place, work))
        : renderMessages(turns, chat, place, work);
    const system = messages.filter(isOf("system")).map((message) => contentOf(message).trim());
    if (options.systemRole !== false || system.length === 0) return render(messages);
    const asIs = templates.isFallback ? undefined : attempt(() => render(messages));
    return asIs !== undefined && system.every((text) => asIs.includes(text)) ? asIs : render(foldSystemText(messages));
  };

  const work = new Work(mostProbeWork);
  const probe: ProbedTemplate = {
    variables: [...new Set(names)].filter((name) => !known.has(name)),
    texts: new Set([...programs.chat.texts, ...programs.tools.texts]),
    render: (chat, how) => attempt(() => renderChat(chat, how.tools, how.forms, work)),
  };
  const tools = templates.isFallback ? undefined : findToolsPlace(probe.render);
  let shape: TemplateShape | undefined;
  const shapeNow = (): TemplateShape => (shape ??= probeTemplate(tools, probe));

  return {
    tools,
    get shape() {
      return shapeNow();
    },
    render: (chat) => {
      const { forms, toolsDepend } = shapeNow();
      const text = renderChat(chat, tools ?? "variable", forms);
      const isOffered = offeredTools(chat).length > 0;
      if (isOffered && toolsDepend && text === renderChat({ ...chat, tools: [] }, tools ?? "variable", forms)) {
        throw new ChatTemplateRefused("it writes no tools in a conversation of these messages");
      }
      return text;
    },
  };
};

/** A text or a list that has no end is no refusal. A stack that is too deep is: conversations may be nested. */
const isTooLarge = (error: unknown): boolean =>
  error instanceof RangeError && /Invalid (string|array) length/.test(error.message);

/** Steps of all probes together: a published template takes some ten thousand. */
const mostProbeWork = 2_000_000;

/** Into the first system message, or one of their own in front. */
const withSystemTools = (
  messages: ReadonlyArray<TemplateMessage>,
  tools: ReadonlyArray<Tool>,
  place: ToolsPlace,
): ReadonlyArray<TemplateMessage> => {
  if (tools.length === 0) return messages;
  const value = place === "system-text" ? functionsAsText(tools) : tools.map(toTemplateFunction);
  const at = messages.findIndex(isOf("system"));
  const system =
    messages[at] ??
    new Map<Value, Value>([
      ["role", "system"],
      ["content", ""],
    ]);
  const withTools: TemplateMessage = new Map([...system, ["tools", value]]);
  return at < 0 ? [withTools, ...messages] : messages.with(at, withTools);
};

/** The last message's turn is left open: the text ends with its content. */
const renderOpen = (
  messages: ReadonlyArray<TemplateMessage>,
  render: (messages: ReadonlyArray<TemplateMessage>) => string,
): string => {
  const last = messages.at(-1);
  if (last === undefined || contentOf(last) === "") {
    throw new ChatTemplateRefused("the final message has no content to continue");
  }
  const text = render([...messages.slice(0, -1), withContent(last, contentOf(last) + openEnd)]);
  const end = text.lastIndexOf(openEnd.trimEnd());
  if (end < 0)
    throw new ChatTemplateRefused("the chat template leaves out the final message, so it cannot be continued");
  // A template that trims contents has cut the marker's space: it would have trimmed the content's too.
  const trims = !text.startsWith(openEnd, end);
  return trims ? text.slice(0, end).trimEnd() : text.slice(0, end);
};

/** transformers' own marker; its last occurrence is the appended one. */
const openEnd = "CONTINUE_FINAL_MESSAGE_TAG ";

/** transformers' two functions. */
const functions = (now: () => Date): ReadonlyArray<readonly [string, Value]> => [
  [
    "raise_exception",
    new Callable("raise_exception", ({ positional: [reason = ""] }) => {
      throw new ChatTemplateRefused(str(reason));
    }),
  ],
  ["strftime_now", new Callable("strftime_now", ({ positional: [format = ""] }) => strftime(now(), str(format)))],
];

const optionsOf = (options: ChatInput["templateOptions"]): ReadonlyArray<readonly [string, Value]> => {
  const reserved = Object.keys(options).find((name) => reservedOptions.has(name));
  if (reserved !== undefined)
    throw new ChatTemplateRefused(`the template option "${reserved}" is not the caller's to set`);
  return Object.entries(options).map(([name, value]) => [name, valueOf(value)]);
};

const attempt = (render: () => string): string | undefined => {
  try {
    return render();
  } catch (error) {
    if (error instanceof ChatTemplateRefused) return undefined;
    throw error;
  }
};

/** Keeps error messages under the limits of the wire, whatever a template writes into them. */
const reasonMaxLength = 300;
