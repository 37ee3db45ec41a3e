/** Renders conversations into prompts with the model's own template, as transformers' apply_chat_template does. */
import type { StandInTemplate } from "../domain/family.ts";
import type { ChatInput, Tool } from "../domain/conversation.ts";
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
   * The text already contains special tokens, as templates write them, including the beginning of the sequence. So it
   * has to be tokenised without adding any. Throws ChatTemplateRefused if the template rejects the conversation.
   */
  readonly render: (chat: ChatInput) => string;
  /**
   * Where the template writes tools; undefined if it does not. Unlike the rest of its shape, this is cheap to find out.
   */
  readonly tools: ToolsPlace | undefined;
  readonly shape: TemplateShape;
}

/** The template cannot render this conversation: unknown role, turns that do not alternate, and so on. */
export class ChatTemplateRefused extends Error {
  override readonly name = "ChatTemplateRefused";
  /** One sentence; the template's own message if it has one. */
  readonly reason: string;
  /**
   * `refusal`: the template raised an error on purpose. `fault`: it failed. `depth`: the values are nested too deep to
   * be written.
   */
  readonly kind: "refusal" | "fault" | "depth";

  constructor(reason: string, kind: ChatTemplateRefused["kind"] = "refusal") {
    super(reason);
    this.reason = reason.slice(0, reasonMaxLength);
    this.kind = kind;
  }
}

export interface ChatTemplateOptions {
  /** The decoded tokenizer_config.json. */
  readonly tokenizerConfig: object;
  /**
   * The text of chat_template.jinja or the value of chat_template.json; takes precedence over tokenizer_config.json.
   */
  readonly chatTemplateFile?: unknown;
  /**
   * False for a family without a system role: if its template rejects or ignores system text, the text is moved before
   * the first user message.
   *
   * @default true
   */
  readonly systemRole?: boolean;
  /** The substitute if the model has no template. @default ChatML */
  readonly standIn?: StandInTemplate;
  /** For templates that write today's date. @default the system clock */
  readonly now?: () => Date;
}

/** Throws TemplateError if the template is invalid. */
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

/**
 * Text or lists that grow without bound are a fault of the template. A stack overflow is the conversation's, as it may
 * be nested.
 */
const isTooLarge = (error: unknown): boolean =>
  error instanceof RangeError && /Invalid (string|array) length/.test(error.message);

/** Steps of all probes together; published templates take about ten thousand. */
const mostProbeWork = 2_000_000;

/** Puts the tools into the first system message, or into one of its own at the beginning. */
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

/** Leaves the turn of the last message open: the text ends with its content. */
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
  // If the marker's trailing space is gone, the template trims contents, so it has trimmed this message's content, too.
  const trims = !text.startsWith(openEnd, end);
  return trims ? text.slice(0, end).trimEnd() : text.slice(0, end);
};

/** The marker that transformers uses; its last occurrence is the one added here. */
const openEnd = "CONTINUE_FINAL_MESSAGE_TAG ";

/** The two functions that transformers provides. */
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

/** Keeps error messages within the protocol's limits, whatever a template writes into them. */
const reasonMaxLength = 300;
