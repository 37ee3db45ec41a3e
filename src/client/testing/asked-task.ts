import { create } from "@bufbuild/protobuf";
import type { Role } from "../enum-names.ts";
import { type GenerationTask, GenerationTaskSchema, Role as WireRole } from "../gen/mlxd/v1/types_pb.ts";
import type { ToolCall } from "../results.ts";

/** A task that a scripted model got. */
export interface AskedTask {
  /** The name of the model; empty for the default. */
  readonly model: string;
  /** The messages of the conversation. A raw prompt is one user message. */
  readonly messages: readonly AskedMessage[];
  /** Names of the tools that may be called. */
  readonly tools: readonly string[];
  /** The task as it was sent. */
  readonly task: GenerationTask;
  /** The headers of the call. */
  readonly headers: Headers;
}

/** A message of a conversation. */
export interface AskedMessage {
  readonly role: Role;
  /** Its text parts, joined. */
  readonly text: string;
  readonly toolCalls: readonly ToolCall[];
}

const roles = new Map<number, Role>(
  Object.entries(WireRole).map(([name, value]) => [value, name.toLowerCase() as Role]), // the type has these names
);

/** Reads a task. */
export const askedTask = (given: GenerationTask | undefined, headers: Headers): AskedTask => {
  const task = given ?? create(GenerationTaskSchema);
  const { input } = task;
  const messages =
    input.case === "chat"
      ? input.value.messages.map(({ role, content, toolCalls }) => ({
          role: roles.get(role) ?? "user",
          text: content.map(({ part }) => (part.case === "text" ? part.value : "")).join(""),
          toolCalls: toolCalls.map(({ id, name, arguments: json }) => ({ id, name, arguments: json })),
        }))
      : [{ role: "user" as const, text: input.case === "prompt" ? input.value : "", toolCalls: [] }];
  const tools = input.case === "chat" ? input.value.tools.map(({ name }) => name) : [];
  return { model: task.model, messages, tools, task, headers };
};
