/**
 * Gets JSON from a model that cannot be constrained to it: holds back the answer, validates it, and asks once more if
 * it is invalid.
 */
import { Clock, Effect } from "effect";

import { elapsedMsUnsafe } from "../domain/elapsed.ts";
import { OutputInvalid } from "../domain/errors.ts";
import type { ChatMessage } from "../domain/conversation.ts";
import type { FinishReason, OutputWarning, TokenLogprob } from "../domain/generation-result.ts";
import type { ConversationEngine, ConversationRequest, EngineEvent } from "../engine/Engine.ts";
import type { EngineFailure } from "../engine/engine-failures.ts";
import type { JsonCheck, JsonConstraint } from "../output/json-answer.ts";
import type { GenerationRecord } from "./GenerationRecord.ts";

export interface JsonAsked {
  readonly constraint: JsonConstraint;
  readonly check: JsonCheck;
}

interface Conversing {
  readonly model: string;
  readonly engine: ConversationEngine;
  readonly request: ConversationRequest;
  /** The answer's number. */
  readonly index: number;
  readonly record: GenerationRecord;
}

/**
 * Sends the answer in one piece: the JSON without the text around it, and the logprobs of all of its tokens. An answer that was cancelled or ran out of time
 * contains the JSON only if it is valid. Tool calls are not JSON, and pass unchanged.
 */
export const converseInJson = Effect.fnUntraced(function* (
  { model, engine, request, index, record }: Conversing,
  { constraint, check }: JsonAsked,
): Effect.fn.Return<void, EngineFailure | OutputInvalid> {
  const clock = yield* Clock.Clock;
  const now = () => elapsedMsUnsafe(clock);
  const asked = instructed(request, constraint);
  const first = new Answer(index, record, now);
  yield* engine.converse(asked, first.onEvent);
  const found = check(first.text);
  if ("json" in found) return first.send(found.json);
  if (isEnded(first.reason) || first.hasCalls) return first.send("");
  const leftMs = request.timeBudgetMs === undefined ? undefined : request.timeBudgetMs - first.tookMs;
  if (isCut(first.reason) || (leftMs !== undefined && leftMs <= 0)) {
    return yield* new OutputInvalid({ model, problem: `${found.problem}; it ended with ${first.reason}` });
  }
  first.discard();
  const second = new Answer(index, record, now);
  yield* engine.converse({ ...corrected(asked, first.text, found.problem), timeBudgetMs: leftMs }, second.onEvent);
  const foundThen = check(second.text);
  if ("json" in foundThen) return second.send(foundThen.json, [regenerated(found.problem)]);
  if (isEnded(second.reason) || second.hasCalls) return second.send("");
  return yield* new OutputInvalid({ model, problem: `${foundThen.problem}; it was asked for twice` });
});

type Output = Extract<EngineEvent, { readonly type: "output" }>;
type Finished = Extract<EngineEvent, { readonly type: "finished" }>;

/** An answer that is held back. */
class Answer {
  private readonly index: number;
  private readonly record: GenerationRecord;
  private readonly now: () => number;
  private held: Output = nothing;
  private readonly logprobs: TokenLogprob[] = [];
  private end: Finished | undefined;
  private admittedAt: number | undefined;

  constructor(index: number, record: GenerationRecord, now: () => number) {
    this.index = index;
    this.record = record;
    this.now = now;
  }

  readonly onEvent = (event: EngineEvent): void => {
    if (event.type === "admitted") this.admittedAt ??= this.now();
    if (event.type === "finished") this.end = event;
    else if (event.type === "output") this.hold(event);
    else this.record.onEngineEvent(this.index, event, this.now());
  };

  /** The time since its admission, without its wait in the queue. */
  get tookMs(): number {
    return this.admittedAt === undefined ? 0 : this.now() - this.admittedAt;
  }

  get text(): string {
    return this.held.text;
  }

  get hasCalls(): boolean {
    return this.held.toolCalls.length > 0;
  }

  get reason(): FinishReason {
    return this.end?.reason ?? "end-of-sequence";
  }

  send(text: string, warnings: ReadonlyArray<OutputWarning> = []): void {
    const { held, end, index, record } = this;
    record.unhold(index, held);
    const isEmpty = text === "" && held.reasoning === "" && held.toolCalls.length === 0;
    // They would show the text that is not sent.
    const logprobs = text === "" && !this.hasCalls ? [] : this.logprobs;
    if (!isEmpty) record.onEngineEvent(index, { ...held, text, logprobs }, this.now());
    if (end === undefined) return;
    record.onEngineEvent(index, { ...end, warnings: [...end.warnings, ...warnings] }, this.now());
  }

  /** Its usage still counts, with the numbers that its end reports, if any. */
  discard(): void {
    const { outputTokens: tokens, reasoningTokens } = this.end?.usage ?? {
      outputTokens: this.held.tokens,
      reasoningTokens: this.held.reasoningTokens,
    };
    this.record.unhold(this.index, this.held);
    this.record.withhold(this.index, { ...nothing, tokens, reasoningTokens });
  }

  private hold(event: Output): void {
    const { held } = this;
    this.record.withhold(this.index, event);
    for (const each of event.logprobs) this.logprobs.push(each);
    this.held = {
      ...held,
      text: held.text + event.text,
      reasoning: held.reasoning + event.reasoning,
      toolCalls: event.toolCalls.length === 0 ? held.toolCalls : [...held.toolCalls, ...event.toolCalls],
      tokens: held.tokens + event.tokens,
      reasoningTokens: held.reasoningTokens + event.reasoningTokens,
    };
  }
}

const nothing: Output = {
  type: "output",
  text: "",
  reasoning: "",
  toolCalls: [],
  tokens: 0,
  reasoningTokens: 0,
  tokenIds: [],
  logprobs: [],
};

/** The caller knows that such an answer is incomplete. */
const isEnded = (reason: FinishReason): boolean => reason === "cancelled" || reason === "time-budget";

/** Another answer would be cut off as well. */
const isCut = (reason: FinishReason): boolean =>
  reason === "max-output-tokens" || reason === "context-length" || reason === "content-filter";

const said = (role: "assistant" | "system" | "user", text: string): ChatMessage => ({
  role,
  content: [{ type: "text", text }],
  toolCalls: [],
  toolCallId: "",
  name: "",
  reasoning: "",
});

/**
 * The instruction is put into the first system message, because many chat templates accept only one, at the beginning.
 */
const instructed = (request: ConversationRequest, constraint: JsonConstraint): ConversationRequest => {
  const { input } = request;
  if (input.type !== "chat") return request;
  const wanted =
    constraint.type === "json-object"
      ? "Answer with one JSON object and nothing else: no explanation, no code fence."
      : `Answer with JSON of this JSON Schema and nothing else: no explanation, no code fence.\n${constraint.schema}`;
  const [first, ...rest] = input.messages;
  const messages =
    first?.role === "system" || first?.role === "developer"
      ? [{ ...first, content: [...first.content, { type: "text" as const, text: `\n\n${wanted}` }] }, ...rest]
      : [said("system", wanted), ...input.messages];
  return { ...request, input: { ...input, messages } };
};

const corrected = (request: ConversationRequest, answer: string, problem: string): ConversationRequest => {
  const { input } = request;
  if (input.type !== "chat") return request;
  const correction = `That is not the JSON that was asked for: ${shorten(problem, 500)}. Answer again, with the JSON alone.`;
  const shown = answer.trim() === "" ? [] : [said("assistant", shorten(answer, mostShown))];
  return { ...request, input: { ...input, messages: [...input.messages, ...shown, said("user", correction)] } };
};

const mostShown = 8_192;

const shorten = (text: string, most: number): string => text.slice(0, most).toWellFormed();

const regenerated = (problem: string): OutputWarning => ({
  kind: "regenerated",
  message: `the first answer was not the JSON that the task asks for (${shorten(problem, 200)}), and nothing of it was sent; this is another one`,
});
