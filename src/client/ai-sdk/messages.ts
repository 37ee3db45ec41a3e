import {
  type LanguageModelV4FilePart,
  type LanguageModelV4Message,
  type LanguageModelV4Prompt,
  type LanguageModelV4ToolResultPart,
  type SharedV4Warning,
  UnsupportedFunctionalityError,
} from "@ai-sdk/provider";
import type { ChatMessage, ContentPart } from "../messages.ts";

/** The messages of a prompt. Unsupported parts are refused or, if they can be left out, reported as warnings. */
export const messagesOf = (prompt: LanguageModelV4Prompt, warnings: SharedV4Warning[]): ChatMessage[] =>
  prompt.flatMap((message) => messageOf(message, warnings));

const messageOf = (message: LanguageModelV4Message, warnings: SharedV4Warning[]): ChatMessage[] => {
  switch (message.role) {
    case "system":
      return [{ role: "system", content: message.content }];
    case "user":
      return [
        {
          role: "user",
          content: message.content.map((part) => (part.type === "text" ? { text: part.text } : fileOf(part))),
        },
      ];
    case "assistant":
      return [assistantOf(message.content, warnings)];
    case "tool":
      return message.content.flatMap((part) => {
        if (part.type === "tool-result") return [resultOf(part)];
        warnings.push({ type: "unsupported", feature: part.type });
        return [];
      });
  }
};

type AssistantContent = Extract<LanguageModelV4Message, { role: "assistant" }>["content"];

const assistantOf = (content: AssistantContent, warnings: SharedV4Warning[]): ChatMessage => {
  const texts = content.flatMap((part) => (part.type === "text" ? part.text : []));
  const reasoning = content.flatMap((part) => (part.type === "reasoning" ? part.text : []));
  const toolCalls = content.flatMap((part) =>
    part.type === "tool-call"
      ? {
          id: part.toolCallId,
          name: part.toolName,
          arguments: typeof part.input === "string" ? part.input : JSON.stringify(part.input),
        }
      : [],
  );
  for (const { type } of content) {
    if (!["text", "reasoning", "tool-call"].includes(type))
      warnings.push({ type: "unsupported", feature: `assistant's ${type}` });
  }
  return {
    role: "assistant",
    ...(texts.length > 0 && { content: texts.join("") }),
    ...(reasoning.length > 0 && { reasoning: reasoning.join("") }),
    ...(toolCalls.length > 0 && { toolCalls }),
  };
};

const fileOf = ({ data, mediaType }: LanguageModelV4FilePart): ContentPart => {
  if (data.type === "text") return { text: data.text };
  if (!mediaType.startsWith("image") || data.type === "reference") {
    throw new UnsupportedFunctionalityError({ functionality: `files of the type ${mediaType}, by ${data.type}` });
  }
  const known = mediaType.includes("/") && !mediaType.endsWith("*") ? { mediaType } : {};
  if (data.type === "url") return { image: data.url, ...known };
  if (typeof data.data !== "string") return { image: data.data, ...known };
  return { image: `data:${mediaType};base64,${data.data}`, ...known };
};

const resultOf = ({ toolCallId, toolName, output }: LanguageModelV4ToolResultPart): ChatMessage => ({
  role: "tool",
  toolCallId,
  name: toolName,
  content: outputOf(output),
});

const outputOf = (output: LanguageModelV4ToolResultPart["output"]): string => {
  switch (output.type) {
    case "text":
    case "error-text":
      return output.value;
    case "json":
    case "error-json":
      return JSON.stringify(output.value);
    case "execution-denied":
      return `Error: the call was denied${output.reason === undefined ? "" : `: ${output.reason}`}`;
    case "content":
      return output.value
        .map((part) => {
          if (part.type === "text") return part.text;
          throw new UnsupportedFunctionalityError({ functionality: `results of tools of the type ${part.type}` });
        })
        .join("");
  }
};
