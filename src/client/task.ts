import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { checkKeys, checkObject, checkText, checkTokenIds } from "./check.ts";
import { invalidField } from "./errors.ts";
import { type GenerationTask, GenerationTaskSchema } from "./gen/mlxd/v1/types_pb.ts";
import { type ChatInput, chatToWire } from "./messages.ts";
import type { GenerationParameters } from "./parameters.ts";
import { setParameters } from "./set-parameters.ts";

/**
 * What to continue: a text (a conversation with one user message), a conversation, a raw prompt (no chat template), token ids,
 * or a task of the API.
 */
export type GenerationInput =
  | string
  | (ChatInput & Without<"prompt" | "tokens" | "task">)
  | ({
      /** Raw text, tokenised without a chat template. */
      readonly prompt: string;
    } & Without<keyof ChatInput | "tokens" | "task">)
  | ({
      /** Token ids, used without template and tokenizer. */
      readonly tokens: readonly number[] | Uint32Array;
    } & Without<keyof ChatInput | "prompt" | "task">)
  | ({
      /** A task as the API defines it; parameters given separately take precedence over those of the task. */
      readonly task: MessageInitShape<typeof GenerationTaskSchema>;
    } & Without<keyof ChatInput | "prompt" | "tokens">);

/** Makes keys of the other kinds of input a type error. */
type Without<Keys extends string> = { readonly [Key in Keys]?: never };

/**
 * The message to send for this input and these parameters.
 *
 * @param place where both are in the arguments of the caller, e.g. `items[2]`; empty if they are the arguments
 */
export const createTask = (
  input: GenerationInput,
  parameters: GenerationParameters = {},
  defaultModel = "",
  place = "",
): GenerationTask => {
  const task = taskOf(input, place === "" ? "" : `${place}.input`);
  setParameters(task, parameters, place);
  task.model ||= defaultModel;
  return task;
};

const kinds = ["messages", "prompt", "tokens", "task"] as const;
const chatKeys = ["messages", "tools", "toolChoice", "templateOptions", "continueFinalMessage"];

const taskOf = (input: GenerationInput, place: string): GenerationTask => {
  if (typeof input === "string") return textTask(checkText(input, place || "input"));
  if (Array.isArray(input))
    throw invalidField(place || "input", "an array is not an input; for messages use { messages }");
  const given = checkObject(input, place || "input");
  checkKeys(given, place, [...chatKeys, "prompt", "tokens", "task"], "input");
  const [kind, other] = kinds.filter((each) => given[each] !== undefined);
  if (kind === undefined) throw invalidField(place || "input", "give a text, messages, a prompt, tokens or a task");
  if (other !== undefined)
    throw invalidField(place || "input", `${kind} and ${other} are set; an input can be only one of them`);
  const extra = chatKeys.find((key) => kind !== "messages" && given[key] !== undefined);
  if (extra !== undefined)
    throw invalidField(at(place, extra), `it can only be used with messages, not with a ${kind}`);
  return create(GenerationTaskSchema, inputs[kind](given, place));
};

type TaskInit = MessageInitShape<typeof GenerationTaskSchema>;

const inputs: Readonly<Record<(typeof kinds)[number], (given: GivenInput, place: string) => TaskInit>> = {
  messages: (given, place) => ({ input: { case: "chat", value: chatToWire(given, place) } }),
  prompt: ({ prompt }, place) => ({ input: { case: "prompt", value: checkText(prompt, at(place, "prompt")) } }),
  tokens: ({ tokens }, place) => ({
    input: { case: "tokens", value: { ids: checkTokenIds(tokens, at(place, "tokens")) } },
  }),
  task: ({ task }, place) => copyTask(checkObject(task, at(place, "task")), at(place, "task")),
};

type GivenInput = Readonly<Record<string, unknown>>;

const textTask = (text: string): GenerationTask =>
  create(GenerationTaskSchema, {
    input: { case: "chat", value: chatToWire({ messages: [{ role: "user", content: text }] }) },
  });

/** A deep copy, since the parameters are written into it. Serialising it also finds what is wrong with it. */
const copyTask = (task: TaskInit, place: string): GenerationTask => {
  try {
    const message = create(GenerationTaskSchema, task);
    return fromBinary(GenerationTaskSchema, toBinary(GenerationTaskSchema, message));
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw invalidField(place, `it is not a task of the API: ${problem}`);
  }
};

const at = (place: string, name: string): string => (place === "" ? name : `${place}.${name}`);
