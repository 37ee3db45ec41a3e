/**
 * Finds out what a chat template does with the parts of a conversation, by rendering small conversations whose every
 * part has a distinctive mark. Searching the source would not do: a word in it may be a comment, text, or a name for
 * something else.
 */
import type { ChatInput, ChatMessage, Tool } from "../domain/conversation.ts";
import { type MessageForms, usualForms } from "./chat-template-values.ts";

/**
 * Where the template expects tools: in a variable, or in the `tools` member of the system message, as JSON text
 * (`system-text`) or as a list (`system-list`).
 */
export type ToolsPlace = "variable" | "system-text" | "system-list";

export interface TemplateShape {
  /** Undefined if it writes no tools, and would silently drop them. */
  readonly tools: ToolsPlace | undefined;
  /** Whether it writes tools in some conversations only, e.g. with a system message. */
  readonly toolsDepend: boolean;
  readonly forms: MessageForms;
  /** Whether it writes the calls of earlier messages, tool results, the names of speakers, and earlier reasoning. */
  readonly writes: {
    readonly calls: boolean;
    readonly results: boolean;
    readonly names: boolean;
    readonly reasoning: boolean;
  };
  /** Variables that affect its output, other than those that are always set. */
  readonly options: ReadonlyArray<string>;
}

export interface ProbedTemplate {
  /** Undefined if the template fails or rejects the conversation. */
  readonly render: (
    chat: ChatInput,
    how: { readonly tools: ToolsPlace; readonly forms: MessageForms },
  ) => string | undefined;
  /** Variables that it reads and that a caller may set. */
  readonly variables: ReadonlyArray<string>;
  /** String literals in its expressions. */
  readonly texts: ReadonlySet<string>;
}

export const findToolsPlace = (render: ProbedTemplate["render"]): ToolsPlace | undefined =>
  places.find((tools) =>
    [[user], [system, user]].some((messages) =>
      writesTools(render(chat(messages, [marked]), { tools, forms: usualForms })),
    ),
  );

export const probeTemplate = (
  tools: ToolsPlace | undefined,
  { render, variables, texts }: ProbedTemplate,
): TemplateShape => {
  const how = { tools: tools ?? "variable", forms: usualForms };
  const offered = tools === undefined ? [] : [marked];
  const called = (forms: MessageForms) => render(chat([user, calls, result, answer, user], offered), { ...how, forms });
  const found =
    formsOfCalls.find((each) => has(called(each), mark.call) && has(called(each), mark.argument)) ??
    formsOfCalls.find((each) => has(called(each), mark.argument)) ??
    // Without tools, because the same names occur in them.
    formsOfCalls.find((each) =>
      has(render(chat([user, calls, result, answer, user]), { ...how, forms: each }), mark.call),
    );
  const writesToolsAsPhi = has(render(chat([system, user], offered), how), "<|tool|>");
  const forms: MessageForms = {
    ...(found ?? usualForms),
    developerRole: texts.has("developer"),
    callsInText: found === undefined && writesToolsAsPhi,
  };
  const withForms = { ...how, forms };
  const written = (messages: ReadonlyArray<ChatMessage>, what: string): boolean =>
    [offered, []].some((each) => has(render(chat(messages, each), withForms), what));
  // If the template rejects these conversations, it reports that itself when it is used.
  const fails = (messages: ReadonlyArray<ChatMessage>): boolean =>
    render(chat(messages, offered), withForms) === undefined && render(chat(messages), withForms) === undefined;
  const withCalls = [user, calls, result, answer, user];
  const reasoned = [...withCalls.slice(0, 1), { ...calls, reasoning: mark.reasoning }, result];
  const options = variables.filter((name) => changes(name, (each) => render(each, withForms), offered));
  const turns = [[user], [system, user], [user, answer, user], withCalls.slice(0, 3)];
  return {
    tools,
    toolsDepend:
      tools !== undefined && !turns.every((messages) => writesTools(render(chat(messages, [marked]), withForms))),
    forms,
    writes: {
      calls: found !== undefined || forms.callsInText || fails(withCalls),
      results: written(withCalls, mark.result) || written([user, calls, result], mark.result) || fails(withCalls),
      names: written([{ ...user, name: mark.name }, { ...answer, name: mark.name }, user], mark.name),
      reasoning:
        written(reasoned, mark.reasoning) ||
        written([user, { ...answer, reasoning: mark.reasoning }, user], mark.reasoning),
    },
    options,
  };
};

const places: ReadonlyArray<ToolsPlace> = ["variable", "system-text", "system-list"];

/**
 * The first form whose calls the template writes is used. Objects before texts: `arguments | tojson` would encode a
 * text twice.
 */
const formsOfCalls: ReadonlyArray<MessageForms> = (["object", "text"] as const).flatMap((callArguments) =>
  (["text", "none", "absent"] as const).map((emptyContent) => ({ ...usualForms, emptyContent, callArguments })),
);

/** Whether any value of the variable changes the rendering of any of the conversations. */
const changes = (
  name: string,
  render: (chat: ChatInput) => string | undefined,
  offered: ReadonlyArray<Tool>,
): boolean =>
  [
    chat([user]),
    chat([system, user], offered),
    chat([user, { ...answer, reasoning: mark.reasoning }, user, calls, result], offered),
  ].some((each) => {
    const plain = render(each);
    return values.some((value) => render({ ...each, templateOptions: { [name]: value } }) !== plain);
  });

const values: ReadonlyArray<unknown> = [
  true,
  false,
  "low",
  "high",
  1,
  null,
  ["a"],
  [{ title: "a", text: "b" }],
  { a: "b" },
];

/** Any part of them, because some templates write only names, or only parameters. */
const writesTools = (text: string | undefined): boolean =>
  [mark.tool, mark.description, mark.property].some((each) => has(text, each));

const has = (text: string | undefined, what: string): boolean => text?.includes(what) === true;

/** Letters and digits only, because templates trim, escape and quote other characters. */
const mark = {
  tool: "probetool7",
  description: "probedescription7",
  property: "probeproperty7",
  call: "probetool7",
  argument: "probeargument7",
  result: "proberesult7",
  name: "probename7",
  reasoning: "probereasoning7",
};

const message = (role: ChatMessage["role"], text: string, rest: Partial<ChatMessage> = {}): ChatMessage => ({
  role,
  content: text === "" ? [] : [{ type: "text", text }],
  toolCalls: [],
  toolCallId: "",
  name: "",
  reasoning: "",
  ...rest,
});

/** Has the length that Mistral's templates require. */
const callId = "probecall";
const system = message("system", "probesystem7");
const user = message("user", "probeuser7");
const answer = message("assistant", "probeanswer7");
const calls = message("assistant", "", {
  toolCalls: [{ id: callId, name: mark.call, arguments: JSON.stringify({ [mark.property]: mark.argument }) }],
});
const result = message("tool", mark.result, { toolCallId: callId, name: mark.call });

const marked: Tool = {
  name: mark.tool,
  description: mark.description,
  parameters: {
    type: "object",
    properties: { [mark.property]: { type: "string", description: "probe" } },
    required: [mark.property],
  },
};

const chat = (messages: ReadonlyArray<ChatMessage>, tools: ReadonlyArray<Tool> = []): ChatInput => ({
  type: "chat",
  messages,
  tools,
  toolChoice: { mode: "auto" },
  templateOptions: {},
  continueFinalMessage: false,
});
