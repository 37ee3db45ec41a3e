/** The client's own scripted model, with what it was asked in a few words. */
import type { GenerationTask } from "../../src/client/gen/mlxd/v1/types_pb.ts";
import type { ClientOptions, MlxdClient } from "../../src/client/index.ts";
import { createTestClient } from "../../src/client/testing/index.ts";

/** A text, or calls of tools: each a name and the JSON of its arguments. */
export type ScriptedAnswer = string | readonly (readonly [name: string, json: string])[];

interface ScriptedChat {
  readonly client: MlxdClient;
  /** Of each request, the messages as `role: text` or `role: name(arguments)`. */
  readonly asked: string[][];
  readonly requests: { readonly task: GenerationTask }[];
  readonly headers: Headers[];
}

/** Answers one after another; the last one again and again. */
export const scriptedChat = (answers: readonly ScriptedAnswer[], options: ClientOptions = {}): ScriptedChat => {
  const chat: Omit<ScriptedChat, "client"> = { asked: [], requests: [], headers: [] };
  const { client } = createTestClient(
    {
      answers: ({ messages, task, headers }) => {
        const answer = answers[Math.min(chat.requests.length, answers.length - 1)] ?? "";
        chat.requests.push({ task });
        chat.headers.push(headers);
        chat.asked.push(
          messages.map(({ role, text, toolCalls }) => {
            const calls = toolCalls.map(({ name, arguments: json }) => `${name}(${json})`);
            return `${role}: ${[text, ...calls].filter((part) => part !== "").join(" ")}`;
          }),
        );
        if (typeof answer === "string") return answer;
        return { toolCalls: answer.map(([name, json]) => ({ name, arguments: json })) };
      },
    },
    options,
  );
  return { client, ...chat };
};
