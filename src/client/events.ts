import type { FinishReason } from "./enum-names.ts";
import type { StreamGenerateResponse } from "./gen/mlxd/v1/generation_service_pb.ts";
import {
  contextFromWire,
  type ContextReport,
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

/** An event of a generation: `started` once, any number of `chunk`, and `finished` once for each candidate. */
export type GenerationEvent = GenerationStarted | GenerationChunk | GenerationFinished;

/** The task was admitted. */
export interface GenerationStarted {
  readonly type: "started";
  /** Unique id of this generation, for `cancel` and the service's logs. */
  readonly generationId: string;
  /** Id of the model. */
  readonly model: string;
  /** Its revision. */
  readonly modelRevision: string;
  /** Number of tokens of the prompt. */
  readonly promptTokens: number;
  /** How many of these were in the prefix cache. */
  readonly cachedPromptTokens: number;
  /** The parameters that the generation runs with, defaults filled in. */
  readonly parameters: EffectiveParameters;
  /** The tokens of the prompt, if `promptLogprobs` was set. */
  readonly prompt: readonly TokenLogprob[];
  /** For a task with `alternatives`: the models that were tried before and did not answer. */
  readonly passedOver: readonly PassedOver[];
  /** What was left out of the conversation by its `contextPolicy`; undefined if nothing was. */
  readonly context: ContextReport | undefined;
}

/** More output. */
export interface GenerationChunk {
  readonly type: "chunk";
  /** Index of the candidate, from 0. */
  readonly candidateIndex: number;
  /** Text in whole characters; empty while a stop sequence or a character is incomplete. */
  readonly text: string;
  /** Reasoning in whole characters. */
  readonly reasoning: string;
  /** Pieces of tool calls. */
  readonly toolCalls: readonly ToolCallDelta[];
  /** Ids of the tokens of this chunk, if requested. */
  readonly tokenIds: readonly number[];
  /** Their logprobs, if requested. */
  readonly logprobs: readonly TokenLogprob[];
  /** Output tokens so far. */
  readonly outputTokens: number;
}

/** A piece of a tool call. */
export interface ToolCallDelta {
  /** Index of the call in its candidate, from 0. */
  readonly index: number;
  /** Its id, in its first piece. */
  readonly id: string;
  /** The function's name, in its first piece. */
  readonly name: string;
  /** The next piece of the JSON text of the arguments. */
  readonly arguments: string;
}

/** A candidate is complete. */
export interface GenerationFinished {
  readonly type: "finished";
  /** Index of the candidate, from 0. */
  readonly candidateIndex: number;
  /** Why it ended. */
  readonly finishReason: FinishReason;
  /** What matched, for `stop_sequence`, `stop_token` and `end_of_sequence`. */
  readonly matched: StopMatch | undefined;
  /** Tokens used. */
  readonly usage: Usage;
  /** Timings, if requested. */
  readonly timings: Timings | undefined;
  /** Where the output differs from what the model wrote or meant; usually empty. */
  readonly warnings: readonly OutputWarning[];
}

/** Reads a message of a stream; undefined if its event is newer than this client. */
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
        context: contextFromWire(event.value.context),
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
