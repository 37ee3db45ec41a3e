import { clone, create, type MessageInitShape } from "@bufbuild/protobuf";
import { invalidField } from "./errors.ts";
import { type GenerationTask, GenerationTaskSchema } from "./gen/mlxd/v1/types_pb.ts";
import { assertWellFormed, type ChatInput, chatToWire } from "./messages.ts";
import type { GenerationParameters } from "./parameters.ts";
import { setParameters } from "./set-parameters.ts";

/**
 * What to continue: a text (a conversation of one user's message), a conversation, a raw prompt (no chat template),
 * token ids, or a task of the API as it stands.
 */
export type GenerationInput =
  | string
  | (ChatInput & Without<"prompt" | "tokens" | "task">)
  | ({
      /** Raw text, tokenised as it stands: no chat template. */
      readonly prompt: string;
    } & Without<keyof ChatInput | "tokens" | "task">)
  | ({
      /** Token ids as they are: neither template nor tokenizer. */
      readonly tokens: readonly number[] | Uint32Array;
    } & Without<keyof ChatInput | "prompt" | "task">)
  | ({
      /** A task as the API defines it; parameters beside it go before its own. */
      readonly task: MessageInitShape<typeof GenerationTaskSchema>;
    } & Without<keyof ChatInput | "prompt" | "tokens">);

/** Makes keys of the other kinds of input a type error. */
type Without<Keys extends string> = { readonly [Key in Keys]?: never };

/** The message to send for this input and these parameters. */
export const createTask = (
  input: GenerationInput,
  parameters: GenerationParameters = {},
  defaultModel = "",
): GenerationTask => {
  const task = taskOf(input);
  setParameters(task, parameters);
  task.model ||= defaultModel;
  return task;
};

const inputKeys = [
  "messages",
  "tools",
  "toolChoice",
  "templateOptions",
  "continueFinalMessage",
  "prompt",
  "tokens",
  "task",
];

const taskOf = (input: GenerationInput): GenerationTask => {
  if (typeof input === "string") return taskOf({ messages: [{ role: "user", content: input }] });
  const unknown = Object.keys(input).find((key) => !inputKeys.includes(key));
  if (unknown !== undefined) throw invalidField(unknown, "there is no such input");
  // A copy all through: the parameters are written into it.
  if (input.task) return clone(GenerationTaskSchema, create(GenerationTaskSchema, input.task));
  if (input.messages) return create(GenerationTaskSchema, { input: { case: "chat", value: chatToWire(input) } });
  if (input.tokens) {
    return create(GenerationTaskSchema, { input: { case: "tokens", value: { ids: [...input.tokens] } } });
  }
  if (input.prompt === undefined) throw invalidField("input", "give messages, a prompt, tokens or a task");
  assertWellFormed(input.prompt, "task.prompt");
  return create(GenerationTaskSchema, { input: { case: "prompt", value: input.prompt } });
};
