import { type GenerationProgress, protocolError } from "./errors.ts";
import type { StreamReader } from "./event-stream.ts";
import {
  eventFromWire,
  type GenerationChunk,
  type GenerationEvent,
  type GenerationFinished,
  type GenerationStarted,
} from "./events.ts";
import type { StreamGenerateResponse } from "./gen/mlxd/v1/generation_service_pb.ts";
import { type Candidate, createResult, type GenerationResult, type TokenLogprob } from "./results.ts";
import type { Usage } from "./usage.ts";

/** What has arrived of one candidate. */
interface Answer {
  text: string;
  reasoning: string;
  toolCalls: { id: string; name: string; arguments: string }[];
  tokenIds: number[];
  logprobs: TokenLogprob[];
  outputTokens: number;
  finished: GenerationFinished | undefined;
}

/**
 * Reads one generation's stream and joins its chunks into a result. It checks what the API guarantees: sequence numbers
 * without gaps, Started first, and exactly one Finished for each candidate with nothing after it.
 */
export class GenerationAssembler implements StreamReader<StreamGenerateResponse, GenerationEvent> {
  readonly #candidateCount: number;
  readonly #answers = new Map<number, Answer>();
  #nextSequence = 0;
  #started: GenerationStarted | undefined;

  constructor(candidateCount: number) {
    this.#candidateCount = candidateCount;
  }

  /** The first event, once it has arrived. */
  get started(): GenerationStarted | undefined {
    return this.#started;
  }

  readonly accept = (response: StreamGenerateResponse): GenerationEvent | undefined => {
    if (response.sequence !== this.#nextSequence) {
      throw protocolError(`event ${response.sequence} came where ${this.#nextSequence} was due`, this.progress());
    }
    this.#nextSequence++;
    const event = eventFromWire(response);
    switch (event?.type) {
      case "started":
        if (this.#started) throw protocolError("the generation started twice", this.progress());
        this.#started = event;
        break;
      case "chunk":
        this.#addChunk(this.#answer(event), event);
        break;
      case "finished":
        this.#answer(event).finished = event;
        break;
      case undefined: // a kind of event that is newer than this client
        break;
    }
    return event;
  };

  readonly end = (): void => {
    for (let index = 0; index < this.#candidateCount; index++) {
      if (this.#answers.get(index)?.finished) continue;
      throw protocolError(`the stream ended before answer ${index} had finished`, this.progress());
    }
  };

  readonly progress = (): GenerationProgress | undefined =>
    this.#started && {
      generationId: this.#started.generationId,
      usage: this.#usage(this.#started),
      lastSequence: this.#nextSequence - 1,
      text: this.#answers.get(0)?.text ?? "",
    };

  /** The whole result. Only call it after the stream has ended without an error. */
  result(): GenerationResult {
    if (!this.#started) throw protocolError("the stream has no first event");
    const { generationId, model, modelRevision, parameters, prompt, passedOver, context } = this.#started;
    const answers = [...this.#answers].toSorted(([a], [b]) => a - b);
    return createResult({
      generationId,
      model,
      modelRevision,
      candidates: answers.map(toCandidate),
      usage: this.#usage(this.#started),
      timings: answers.findLast(([, { finished }]) => finished?.timings)?.[1].finished?.timings,
      parameters,
      prompt,
      passedOver,
      context,
    });
  }

  #answer({ candidateIndex, type }: GenerationChunk | GenerationFinished): Answer {
    const answer = this.#answers.get(candidateIndex) ?? createAnswer();
    const problem = !this.#started
      ? "before the generation started"
      : candidateIndex >= this.#candidateCount
        ? `for answer ${candidateIndex}, which was not asked for`
        : answer.finished && `after answer ${candidateIndex} had finished`;
    if (problem) throw protocolError(`a ${type} event came ${problem}`, this.progress());
    this.#answers.set(candidateIndex, answer);
    return answer;
  }

  #addChunk(answer: Answer, chunk: GenerationChunk): void {
    answer.text += chunk.text;
    answer.reasoning += chunk.reasoning;
    for (const tokenId of chunk.tokenIds) answer.tokenIds.push(tokenId);
    for (const logprob of chunk.logprobs) answer.logprobs.push(logprob);
    answer.outputTokens = chunk.outputTokens;
    for (const { index, id, name, arguments: json } of chunk.toolCalls) {
      if (index > answer.toolCalls.length) throw protocolError(`tool call ${index} came too early`, this.progress());
      const call = (answer.toolCalls[index] ??= { id, name, arguments: "" });
      call.arguments += json;
    }
  }

  /** The usage so far. The prompt counts once, however many candidates there are. */
  #usage(started: GenerationStarted): Usage {
    const answers = [...this.#answers.values()];
    const usages = answers.flatMap(({ finished }) => finished?.usage ?? []);
    const { promptTokens, cachedPromptTokens } = usages[0] ?? started;
    const outputTokens = sum(answers.map(({ finished, ...soFar }) => (finished?.usage ?? soFar).outputTokens));
    const reasoningTokens = usages.flatMap((usage) => usage.reasoningTokens ?? []);
    const draftedTokens = usages.flatMap((usage) => usage.draftedTokens ?? []);
    const acceptedDraftTokens = usages.flatMap((usage) => usage.acceptedDraftTokens ?? []);
    return {
      promptTokens,
      cachedPromptTokens,
      outputTokens,
      ...(reasoningTokens.length > 0 && { reasoningTokens: sum(reasoningTokens) }),
      ...(usages.some(({ estimated }) => estimated === true) && { estimated: true }),
      ...(draftedTokens.length > 0 && { draftedTokens: sum(draftedTokens) }),
      ...(acceptedDraftTokens.length > 0 && { acceptedDraftTokens: sum(acceptedDraftTokens) }),
    };
  }
}

const createAnswer = (): Answer => ({
  text: "",
  reasoning: "",
  toolCalls: [],
  tokenIds: [],
  logprobs: [],
  outputTokens: 0,
  finished: undefined,
});

const toCandidate = ([index, answer]: readonly [number, Answer]): Candidate => {
  const { text, reasoning, toolCalls, tokenIds, logprobs, finished } = answer;
  const { finishReason = "unknown", matched, warnings = [] } = finished ?? {};
  return { index, text, reasoning, toolCalls, tokenIds, logprobs, finishReason, matched, warnings };
};

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
