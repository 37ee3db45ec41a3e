import { Result } from "effect";

import * as wire from "../../client/gen/mlxd/v1/types_pb.ts";
import { type InvalidField, UnsupportedTask } from "../domain/errors.ts";
import type { ChatInput, ChatMessage, ContentPart, Role, Tool, ToolChoice } from "../domain/generation.ts";
import { invalidField } from "./invalid-field.ts";

type Refusal = InvalidField | UnsupportedTask;

/** A conversation. Validated already; refuses what no engine of this service does. */
export const chatFromWire = (chat: wire.ChatInput, model: string, path: string): Result.Result<ChatInput, Refusal> =>
  Result.gen(function* () {
    const messages: ChatMessage[] = [];
    for (const [index, message] of chat.messages.entries()) {
      messages.push(yield* messageFromWire(message, model, `${path}.messages[${index}]`));
    }
    return {
      type: "chat",
      messages,
      tools: chat.tools.map(toolFromWire),
      toolChoice: toolChoiceFromWire(chat.toolChoice),
      templateOptions: chat.templateOptions ?? {},
      continueFinalMessage: chat.continueFinalMessage,
    };
  });

const roles: Readonly<Record<number, Role>> = {
  [wire.Role.SYSTEM]: "system",
  [wire.Role.USER]: "user",
  [wire.Role.ASSISTANT]: "assistant",
  [wire.Role.TOOL]: "tool",
  [wire.Role.DEVELOPER]: "developer",
};

const messageFromWire = (message: wire.ChatMessage, model: string, path: string): Result.Result<ChatMessage, Refusal> =>
  Result.gen(function* () {
    const role = roles[message.role];
    if (role === undefined) return yield* Result.fail(invalidField(`${path}.role`, `${message.role} is no known role`));
    const content: ContentPart[] = [];
    for (const { part } of message.content) {
      if (part.case !== "text") return yield* Result.fail(new UnsupportedTask({ task: "vision", model }));
      content.push({ type: "text", text: part.value });
    }
    return {
      role,
      content,
      toolCalls: message.toolCalls.map(({ id, name, arguments: json }) => ({ id, name, arguments: json })),
      toolCallId: message.toolCallId,
      name: message.name,
      reasoning: message.reasoning,
    };
  });

const toolFromWire = ({ name, description, parameters }: wire.Tool): Tool => ({ name, description, parameters });

const toolChoiceFromWire = (choice: wire.ToolChoice | undefined): ToolChoice => {
  if (choice?.choice.case === "function") return { mode: "function", name: choice.choice.value };
  switch (choice?.choice.value) {
    case wire.ToolChoice_Mode.NONE:
      return { mode: "none" };
    case wire.ToolChoice_Mode.REQUIRED:
      return { mode: "required" };
    default:
      return { mode: "auto" };
  }
};
