import { Result } from "effect";

import * as wire from "../../client/gen/mlxd/v1/types_pb.ts";
import type { InvalidField } from "../domain/errors.ts";
import type { ChatInput, ChatMessage, ContentPart, Role, ToolChoice } from "../domain/conversation.ts";
import { imageFromWire } from "./image-from-wire.ts";
import { invalidField } from "./invalid-field.ts";
import { toolsFromWire } from "./tools-from-wire.ts";

/** Converts a validated conversation; refuses what the rules in the proto files cannot express. */
export const chatFromWire = (chat: wire.ChatInput, path: string): Result.Result<ChatInput, InvalidField> =>
  Result.gen(function* () {
    const messages: ChatMessage[] = [];
    for (const [index, message] of chat.messages.entries()) {
      const read = messageFromWire(message, `${path}.messages[${index}]`);
      if (Result.isFailure(read)) return yield* Result.fail(read.failure);
      messages.push(read.success);
    }
    return {
      type: "chat",
      messages,
      tools: yield* toolsFromWire(chat.tools, `${path}.tools`),
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

/** A plain function, because there may be thousands of messages. */
const messageFromWire = (message: wire.ChatMessage, path: string): Result.Result<ChatMessage, InvalidField> => {
  const role = roles[message.role];
  if (role === undefined) return Result.fail(invalidField(`${path}.role`, `${message.role} is no known role`));
  const idle = idleField(message, role);
  if (idle !== undefined) {
    const description = `a message of the role ${role} has no use for it; it is for ${idle.of}`;
    return Result.fail(invalidField(`${path}.${idle.name}`, description));
  }
  const content: ContentPart[] = [];
  for (const { part } of message.content) {
    content.push(part.case === "image" ? imageFromWire(part.value) : { type: "text", text: part.value ?? "" });
  }
  return Result.succeed({
    role,
    content,
    toolCalls: message.toolCalls.map(({ id, name, arguments: json }) => ({ id, name, arguments: json })),
    toolCallId: message.toolCallId,
    name: message.name,
    reasoning: message.reasoning,
  });
};

/** The first field that is set although messages of this role do not use it. */
const idleField = (message: wire.ChatMessage, role: Role) =>
  [
    { name: "tool_calls", isSet: message.toolCalls.length > 0, role: "assistant", of: "the assistant's messages" },
    { name: "reasoning", isSet: message.reasoning !== "", role: "assistant", of: "the assistant's messages" },
    { name: "tool_call_id", isSet: message.toolCallId !== "", role: "tool", of: "messages with a tool's result" },
  ].find(({ isSet, role: only }) => isSet && only !== role);

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
