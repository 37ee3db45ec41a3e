/**
 * What a chat template makes of a conversation, found by rendering small ones in which everything has a mark of its own:
 * a word in a template may be a comment, a text, or the name of something else.
 */
import type { ChatInput, ChatMessage, Tool } from "../domain/generation.ts";
import { type MessageForms, usualForms } from "./chat-template-values.ts";

/** Where tools go. `system-text` and `system-list`: into the system message's `tools`, as JSON or as a list. */
export type ToolsPlace = "variable" | "system-text" | "system-list";

export interface TemplateShape {
  /** Undefined where it writes none: it would drop them without a word. */
  readonly tools: ToolsPlace | undefined;
  /** Whether it writes them in some conversations only: with a system message, say. */
  readonly toolsDepend: boolean;
  readonly forms: MessageForms;
  /** Whether it writes the calls of earlier messages, the results of tools, the names of speakers, earlier reasoning. */
  readonly writes: {
    readonly calls: boolean;
    readonly results: boolean;
    readonly names: boolean;
    readonly reasoning: boolean;
  };
  /** Variables that change what it writes, beside those that are always set. */
  readonly options: ReadonlyArray<string>;
}

export interface ProbedTemplate {
  /** Undefined where the template fails or refuses. */
  readonly render: (
    chat: ChatInput,
    how: { readonly tools: ToolsPlace; readonly forms: MessageForms },
  ) => string | undefined;
  /** Variables that it reads and that are the caller's to set. */
  readonly variables: ReadonlyArray<string>;
  /** Texts that stand in its expressions. */
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
    // Without the tools, whose names are the same.
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
  // A template that refuses these conversations says so itself, in its own words.
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

/** The first that a template writes a call in. Objects before texts: `arguments | tojson` of a text writes it twice. */
const formsOfCalls: ReadonlyArray<MessageForms> = (["object", "text"] as const).flatMap((callArguments) =>
  (["text", "none", "absent"] as const).map((emptyContent) => ({ ...usualForms, emptyContent, callArguments })),
);

/** Whether any value of the variable makes another text of any of the conversations. */
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

/** Any part of them: some templates write names alone, or parameters alone. */
const writesTools = (text: string | undefined): boolean =>
  [mark.tool, mark.description, mark.property].some((each) => has(text, each));

const has = (text: string | undefined, what: string): boolean => text?.includes(what) === true;

/** Letters and digits alone: templates trim, escape and quote the rest. */
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

/** As long as Mistral's templates want them. */
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
