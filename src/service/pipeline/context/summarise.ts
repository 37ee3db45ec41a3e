/**
 * Has the task's own model summarise turns that do not fit: piece by piece, each together with the summary of the
 * pieces before it.
 */
import { Effect } from "effect";

import type { ServiceError } from "../../domain/errors.ts";
import type { ChatMessage } from "../../domain/conversation.ts";
import type { GenerationCandidate, GenerationEvent } from "../../domain/generation-result.ts";
import type { GenerationTask } from "../../domain/generation-task.ts";
import { present } from "../../domain/present.ts";
import { addUsage, noUsage, type Usage } from "../../domain/usage.ts";
import { collectResult } from "../collect-result.ts";
import type { Emit } from "../HeldAnswer.ts";

export type Ask = (task: GenerationTask, emit: Emit) => Effect.Effect<void, ServiceError>;

export interface Summary {
  readonly summary: string;
  readonly summaryUsage: Usage;
}

interface Summarising {
  /** The task whose model, priority and cache policy are used. */
  readonly task: Omit<GenerationTask, "contextPolicy">;
  readonly ask: Ask;
  readonly onSpent: (usage: Usage) => void;
  /** The summary of earlier turns. */
  readonly before: string;
  readonly messages: ReadonlyArray<ChatMessage>;
  readonly longestTokens: number;
}

/**
 * Fails like any task of the model; undefined if the model writes nothing. A piece that is too long for the model is
 * summarised in halves.
 */
export const summarise = Effect.fnUntraced(function* ({
  task,
  ask,
  onSpent,
  before,
  messages,
  longestTokens,
}: Summarising): Effect.fn.Return<Summary | undefined, ServiceError> {
  let summary = before;
  let summaryUsage = noUsage;
  let mostTokens = longestTokens;
  const open = [transcriptOf(messages)];
  for (let piece = open.shift(); piece !== undefined; piece = open.shift()) {
    const events: GenerationEvent[] = [];
    const result = yield* Effect.result(
      ask(taskOf(task, summary, piece, mostTokens), (event) => void events.push(event)),
    );
    if (result._tag === "Success") {
      const { candidates, usage } = collectResult(events);
      const [candidate] = candidates;
      summaryUsage = addUsage(summaryUsage, usage);
      onSpent(usage);
      const written = candidate === undefined || isBrokenOff(candidate) ? "" : candidate.text.trim();
      if (written === "" && mostTokens === longestTokens && candidate?.finished.finishReason === "max-output-tokens") {
        // All of it went into reasoning.
        mostTokens = longestTokens * roomToReason;
        open.unshift(piece);
        continue;
      }
      // Without a summary, this part of the conversation would be lost silently.
      if (written === "") return undefined;
      summary = written;
      continue;
    }
    const { failure } = result;
    const isTooLong = failure._tag === "ContextLengthExceeded" || failure._tag === "BackendContextExceeded";
    if (!isTooLong || piece.length < shortestPiece) return yield* Effect.fail(failure);
    const half = Math.ceil(piece.length / 2);
    open.unshift(piece.slice(0, half).toWellFormed(), piece.slice(half).toWellFormed());
  }
  return { summary, summaryUsage };
});

/** A part of a summary must not pass for the whole. One that reached its limit is as long as it may be. */
const isBrokenOff = ({ finished: { finishReason } }: GenerationCandidate): boolean =>
  finishReason === "cancelled" || finishReason === "time-budget";

/** How many times as many tokens a model gets that used them all for reasoning. */
const roomToReason = 4;

/**
 * Puts a summary of the earlier turns at the beginning of the first user message. Not into the system message: a user's
 * words must not gain the operator's authority, and the unchanged system message stays in the prefix cache.
 */
export const withSummary = (messages: ReadonlyArray<ChatMessage>, summary: string): ReadonlyArray<ChatMessage> => {
  const at = messages.findIndex(({ role }) => role === "user");
  const told = text(`Summary of the conversation so far:\n${summary}\n\n`);
  return messages.map((message, index) =>
    index === at ? { ...message, content: [told, ...message.content] } : message,
  );
};

const text = (value: string) => ({ type: "text" as const, text: value });

const taskOf = (
  task: Summarising["task"],
  before: string,
  transcript: string,
  maxOutputTokens: number,
): GenerationTask => {
  const soFar = before === "" ? "" : `Summary of what came before:\n${before}\n\n`;
  const content = `${soFar}Conversation:\n${transcript}\n\n${request}`;
  const { constraint: _form, ...rest } = task;
  return {
    ...rest,
    input: {
      type: "chat",
      messages: [{ role: "user", content: [text(content)], toolCalls: [], toolCallId: "", name: "", reasoning: "" }],
      tools: [],
      toolChoice: { mode: "auto" },
      templateOptions: {},
      continueFinalMessage: false,
    },
    reasoning: {},
    sampling: {},
    stop: {
      ...present({ timeBudgetMs: task.stop.timeBudgetMs }),
      maxOutputTokens,
      stopSequences: [],
      stopTokenIds: [],
      ignoreEos: false,
      includeStopInOutput: false,
    },
    output: {
      tokenIds: false,
      verbatim: false,
      promptLogprobs: false,
      echoPrompt: false,
      timings: false,
    },
  };
};

const request =
  "Summarise this conversation for whoever goes on with it: names, numbers, decisions and open questions. Write the summary alone.";

/** In characters. If a piece this short does not fit, halving it will not help. */
const shortestPiece = 256;

const transcriptOf = (messages: ReadonlyArray<ChatMessage>): string =>
  messages
    .map(({ role, content, toolCalls }) => {
      const said = content.map((part) => (part.type === "text" ? part.text : `[${part.type}]`)).join("");
      const calls = toolCalls.map(({ name, arguments: json }) => `[calls ${name} with ${json}]`);
      return [`${role}: ${said}`, ...calls].join("\n");
    })
    .join("\n");
