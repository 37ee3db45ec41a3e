import { type LanguageModel, type Prompt, Tool as AiTool } from "effect/ai";
import { invalidField } from "../../errors.ts";
import type { ChatInput, ChatMessage, ContentPart, JsonSchema, Tool, ToolChoice } from "../../messages.ts";
import { constraintSchema } from "../../objects/constraint-schema.ts";
import type { GenerationParameters } from "../../parameters.ts";

/** A call in the client's terms. */
export interface ReadCall {
  readonly input: ChatInput;
  readonly parameters: Pick<GenerationParameters, "constraint">;
}

/** Reads the options of a call; refuses, by name, what mlxd does not support. */
export const readCall = (asked: LanguageModel.ProviderOptions): ReadCall => {
  const { tools, toolChoice } = toolsOf(asked);
  const mayCall = tools.length > 0 && toolChoice !== "none";
  return {
    input: {
      messages: asked.prompt.content.flatMap(messagesOf),
      ...(tools.length > 0 && { tools, toolChoice }),
    },
    parameters: constraintOf(asked, mayCall),
  };
};

const toolsOf = (asked: LanguageModel.ProviderOptions): { readonly tools: Tool[]; readonly toolChoice: ToolChoice } => {
  const choice = asked.toolChoice;
  const tools = asked.tools.map(toolOf);
  if (typeof choice === "string") return { tools, toolChoice: choice };
  if ("tool" in choice) return { tools, toolChoice: { function: choice.tool as string } }; // its type is that of any toolkit
  const allowed = choice.oneOf as readonly string[];
  return { tools: tools.filter(({ name }) => allowed.includes(name)), toolChoice: choice.mode ?? "auto" };
};

const toolOf = (tool: AiTool.Any): Tool => {
  if (AiTool.isProviderDefined(tool)) throw invalidField("toolkit", `${tool.name} is defined by another provider`);
  return {
    name: tool.name as string,
    description: AiTool.getDescription(tool),
    parameters: AiTool.getJsonSchema(tool) as JsonSchema, // which is JSON
  };
};

const constraintOf = ({ responseFormat }: LanguageModel.ProviderOptions, mayCall: boolean) => {
  if (responseFormat.type === "text") return {};
  if (mayCall) throw invalidField("toolkit", "an output cannot be constrained to a schema while tools may be called");
  const schema = AiTool.getJsonSchemaFromSchema(responseFormat.schema) as JsonSchema; // which is JSON
  return { constraint: { jsonSchema: constraintSchema(schema) } };
};

const messagesOf = (message: Prompt.Message): ChatMessage[] => {
  switch (message.role) {
    case "system":
      return [{ role: "system", content: message.content }];
    case "user":
      return [{ role: "user", content: message.content.map(contentOf) }];
    case "assistant":
      return assistantOf(message);
    case "tool":
      // Approvals have been processed before the model is called.
      return message.content.flatMap((part) => (part.type === "tool-result" ? [resultOf(part)] : []));
  }
};

const assistantOf = ({ content }: Prompt.AssistantMessage): ChatMessage[] => {
  const [texts, reasoning]: [string[], string[]] = [[], []];
  const toolCalls: { id: string; name: string; arguments: string }[] = [];
  const results: ChatMessage[] = [];
  for (const part of content) {
    if (part.type === "text") texts.push(part.text);
    else if (part.type === "reasoning") reasoning.push(part.text);
    else if (part.type === "tool-result") results.push(resultOf(part));
    else if (part.type === "tool-call") {
      toolCalls.push({ id: part.id, name: part.name, arguments: JSON.stringify(part.params) });
    } else if (part.type === "file") throw invalidField("prompt", "an assistant's message cannot have files");
  }
  const said: ChatMessage = {
    role: "assistant",
    ...(texts.length > 0 && { content: texts.join("") }),
    ...(reasoning.length > 0 && { reasoning: reasoning.join("") }),
    ...(toolCalls.length > 0 && { toolCalls }),
  };
  return [said, ...results];
};

const contentOf = (part: Prompt.UserMessagePart): ContentPart => {
  if (part.type === "text") return { text: part.text };
  const { mediaType, data } = part;
  if (!mediaType.startsWith("image/")) throw invalidField("prompt", `files of the type ${mediaType} cannot be sent`);
  const known = mediaType.endsWith("*") ? {} : { mediaType };
  if (typeof data !== "string") return { image: data, ...known };
  return { image: URL.canParse(data) ? data : `data:${mediaType};base64,${data}`, ...known };
};

const resultOf = ({ id, name, result, modelOutput }: Prompt.ToolResultPart): ChatMessage => ({
  role: "tool",
  toolCallId: id,
  name,
  content: modelOutput === undefined ? textOf(result) : modelOutput.map(outputOf).join(""),
});

/** A tool without a result returns `undefined`, which JSON does not have. */
const textOf = (result: unknown): string => (typeof result === "string" ? result : (JSON.stringify(result) ?? "null"));

const outputOf = (part: NonNullable<Prompt.ToolResultPart["modelOutput"]>[number]): string => {
  if (part.type === "text") return part.text;
  throw invalidField("prompt", `results of tools of the type ${part.type} cannot be sent`);
};
