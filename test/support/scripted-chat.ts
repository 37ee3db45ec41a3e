/** A model in this process that answers conversations by a script, and notes what it was asked. */
import type { HandlerContext } from "@connectrpc/connect";
import type { StreamGenerateRequest } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { FinishReason, Role } from "../../src/client/gen/mlxd/v1/types_pb.ts";
import type { ClientOptions, MlxdClient } from "../../src/client/index.ts";
import { createInMemoryClient } from "./in-memory-client.ts";
import { chunkEvent, finishedEvent, numbered, startedEvent } from "./scripted-events.ts";
import type { WireEvent } from "./scripted-server.ts";

/** A text, or calls of tools: each a name and the JSON of its arguments. */
export type ScriptedAnswer = string | readonly (readonly [name: string, json: string])[];

export interface ScriptedChat {
  readonly client: MlxdClient;
  /** Of each request, the messages as `role: text` or `role: name(arguments)`. */
  readonly asked: string[][];
  readonly requests: StreamGenerateRequest[];
  readonly headers: Headers[];
}

/** Answers one after another; the last one again and again. */
export const scriptedChat = (answers: readonly ScriptedAnswer[], options: ClientOptions = {}): ScriptedChat => {
  const chat: Omit<ScriptedChat, "client"> = { asked: [], requests: [], headers: [] };
  const stream = (request: StreamGenerateRequest, context: HandlerContext): Iterable<WireEvent> => {
    const answer = answers[Math.min(chat.requests.length, answers.length - 1)] ?? "";
    chat.requests.push(request);
    chat.headers.push(context.requestHeader);
    chat.asked.push(messagesOf(request));
    return eventsOf(answer, chat.requests.length);
  };
  return { client: createInMemoryClient({ stream }, options), ...chat };
};

const roleNames = new Map<number, string>(Object.entries(Role).map(([name, role]) => [role, name.toLowerCase()]));

const messagesOf = ({ task }: StreamGenerateRequest): string[] =>
  task?.input.case === "chat"
    ? task.input.value.messages.map(({ role, content, toolCalls }) => {
        const texts = content.map(({ part }) => (part.case === "text" ? part.value : `<${part.case}>`));
        const calls = toolCalls.map(({ name, arguments: json }) => `${name}(${json})`);
        return `${roleNames.get(role)}: ${[...texts, ...calls].join(" ")}`;
      })
    : [];

const eventsOf = (answer: ScriptedAnswer, round: number): WireEvent[] =>
  typeof answer === "string"
    ? numbered([startedEvent(), chunkEvent(answer, 1), finishedEvent(2)])
    : numbered([
        startedEvent(),
        chunkEvent("", 1, {
          toolCalls: answer.map(([name, json], index) => ({ index, id: `c${round}-${index}`, name, arguments: json })),
        }),
        finishedEvent(2, { finishReason: FinishReason.TOOL_CALLS }),
      ]);
