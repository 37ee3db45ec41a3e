import type { FinishReason } from "./enum-names.ts";
import type { StreamGenerateResponse } from "./gen/mlxd/v1/generation_service_pb.ts";
import {
  type EffectiveParameters,
  finishReasonFromWire,
  logprobsFromWire,
  matchFromWire,
  type OutputWarning,
  parametersFromWire,
  type PassedOver,
  passedOverFromWire,
  type StopMatch,
  type Timings,
  timingsFromWire,
  type TokenLogprob,
  warningsFromWire,
} from "./results.ts";
import { type Usage, usageFromWire } from "./usage.ts";

/** An event of a generation: `started` once, any number of `chunk`, `finished` once for each answer. */
export type GenerationEvent = GenerationStarted | GenerationChunk | GenerationFinished;

/** The task was admitted. */
export interface GenerationStarted {
  readonly type: "started";
  /** Unique id of this generation, for `cancel` and the service's logs. */
  readonly generationId: string;
  /** Id of the model that answers. */
  readonly model: string;
  /** Its revision. */
  readonly modelRevision: string;
  /** Tokens of the prompt. */
  readonly promptTokens: number;
  /** Of these, tokens that the prefix cache holds. */
  readonly cachedPromptTokens: number;
  /** What the generation runs with. */
  readonly parameters: EffectiveParameters;
  /** The prompt's tokens, if `promptLogprobs` was asked for. */
  readonly prompt: readonly TokenLogprob[];
  /** Models that were asked before and did not answer, of a task with `alternatives`. */
  readonly passedOver: readonly PassedOver[];
}

/** More output. */
export interface GenerationChunk {
  readonly type: "chunk";
  /** The answer's number. */
  readonly candidateIndex: number;
  /** Text in whole characters; empty while a stop sequence or a character is incomplete. */
  readonly text: string;
  /** Reasoning in whole characters. */
  readonly reasoning: string;
  /** Pieces of tool calls. */
  readonly toolCalls: readonly ToolCallDelta[];
  /** Ids of the tokens of this chunk, if asked for. */
  readonly tokenIds: readonly number[];
  /** Their logprobs, if asked for. */
  readonly logprobs: readonly TokenLogprob[];
  /** Output tokens so far. */
  readonly outputTokens: number;
}

/** A piece of a tool call. */
export interface ToolCallDelta {
  /** The call's number in this answer, from 0. */
  readonly index: number;
  /** Its id, in its first piece. */
  readonly id: string;
  /** The function's name, in its first piece. */
  readonly name: string;
  /** More of the arguments' JSON text. */
  readonly arguments: string;
}

/** An answer is complete. */
export interface GenerationFinished {
  readonly type: "finished";
  /** The answer's number. */
  readonly candidateIndex: number;
  /** Why it ended. */
  readonly finishReason: FinishReason;
  /** What matched, for `stop_sequence`, `stop_token` and `end_of_sequence`. */
  readonly matched: StopMatch | undefined;
  /** Tokens spent. */
  readonly usage: Usage;
  /** Where the time went, if asked for. */
  readonly timings: Timings | undefined;
  /** What of the output is not as the model wrote it, or not as it meant it; mostly empty. */
  readonly warnings: readonly OutputWarning[];
}

/** Reads a message of a stream; undefined where it holds an event that is newer than this client. */
export const eventFromWire = ({ event }: StreamGenerateResponse): GenerationEvent | undefined => {
  switch (event.case) {
    case "started": {
      const { generationId, model, modelRevision, promptTokens, cachedPromptTokens, parameters, prompt, passedOver } =
        event.value;
      return {
        type: "started",
        generationId,
        model,
        modelRevision,
        promptTokens,
        cachedPromptTokens,
        parameters: parametersFromWire(parameters),
        prompt: logprobsFromWire(prompt),
        passedOver: passedOverFromWire(passedOver),
      };
    }
    case "chunk": {
      const { candidateIndex, text, reasoning, toolCalls, tokenIds, logprobs, outputTokens } = event.value;
      return {
        type: "chunk",
        candidateIndex,
        text,
        reasoning,
        toolCalls: toolCalls.map(({ index, id, name, arguments: json }) => ({ index, id, name, arguments: json })),
        tokenIds,
        logprobs: logprobsFromWire(logprobs),
        outputTokens,
      };
    }
    case "finished": {
      const { candidateIndex, finishReason, matched, usage, timings, warnings } = event.value;
      return {
        type: "finished",
        candidateIndex,
        finishReason: finishReasonFromWire(finishReason),
        matched: matchFromWire(matched),
        usage: usageFromWire(usage),
        timings: timingsFromWire(timings),
        warnings: warningsFromWire(warnings),
      };
    }
    case undefined:
      return undefined;
  }
};
