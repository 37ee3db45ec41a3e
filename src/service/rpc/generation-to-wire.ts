import { create, type MessageInitShape } from "@bufbuild/protobuf";

import {
  type CandidateSchema,
  type GenerationResultSchema,
  type StopMatchSchema,
  type StreamGenerateResponse,
  StreamGenerateResponseSchema,
} from "../../client/gen/mlxd/v1/generation_service_pb.ts";
import * as wire from "../../client/gen/mlxd/v1/types_pb.ts";
import type {
  FinishReason,
  GenerationEvent,
  GenerationCandidate,
  GenerationResult,
  GenerationStarted,
  OutputWarning,
  StopMatch,
  Timings,
  TokenLogprob,
} from "../domain/generation-result.ts";
import type { EffectiveParameters, OutputOptions } from "../domain/generation-task.ts";
import { durationFromMs } from "./duration.ts";
import { errorTable } from "./error-table.ts";
import { wireErrorFrom } from "./error-to-wire.ts";

type Reported = Pick<OutputOptions, "tokenIds" | "timings">;
type Result = MessageInitShape<typeof GenerationResultSchema>;

export const eventToWire = (event: GenerationEvent, sequence: number, reported: Reported): StreamGenerateResponse =>
  create(StreamGenerateResponseSchema, { sequence, event: eventCase(event, reported) });

type EventCase = NonNullable<MessageInitShape<typeof StreamGenerateResponseSchema>["event"]>;

const eventCase = (event: GenerationEvent, { tokenIds, timings }: Reported): EventCase => {
  switch (event.type) {
    case "started": {
      const { type: _, parameters, prompt, passedOver, context, ...started } = event;
      const value = {
        ...started,
        parameters: parametersToWire(parameters),
        prompt: prompt.map(logprobToWire),
        passedOver: passedOverToWire(passedOver),
        ...(context === undefined ? {} : { context }),
      };
      return { case: "started", value };
    }
    case "chunk":
      return {
        case: "chunk",
        value: {
          candidateIndex: event.candidateIndex,
          text: event.text,
          reasoning: event.reasoning,
          toolCalls: [...event.toolCalls],
          outputTokens: event.outputTokens,
          ...(tokenIds ? { tokenIds: [...event.tokenIds] } : {}),
          ...(event.logprobs.length > 0 ? { logprobs: event.logprobs.map(logprobToWire) } : {}),
        },
      };
    case "finished":
      return {
        case: "finished",
        value: {
          candidateIndex: event.candidateIndex,
          finishReason: finishReasons[event.finishReason],
          usage: event.usage,
          warnings: event.warnings.map(warningToWire),
          ...matchedToWire(event.matched),
          ...(timings ? { timings: timingsToWire(event.timings) } : {}),
        },
      };
  }
};

export const resultToWire = (result: GenerationResult, { tokenIds, timings }: Reported): Result => {
  const { started } = result;
  return {
    generationId: started.generationId,
    model: started.model,
    modelRevision: started.modelRevision,
    candidates: result.candidates.map((candidate) => candidateToWire(candidate, tokenIds)),
    usage: result.usage,
    parameters: parametersToWire(started.parameters),
    prompt: started.prompt.map(logprobToWire),
    passedOver: passedOverToWire(started.passedOver),
    ...(started.context === undefined ? {} : { context: started.context }),
    ...(timings ? { timings: timingsToWire(result.timings) } : {}),
  };
};

const passedOverToWire = (
  passedOver: GenerationStarted["passedOver"] = [],
): MessageInitShape<typeof wire.PassedOverSchema>[] =>
  passedOver.map(({ model, error }) => ({
    model,
    reason: errorTable[error._tag].reason,
    message: wireErrorFrom(error).message,
  }));

const candidateToWire = (
  { text, reasoning, toolCalls, tokenIds, logprobs, finished }: GenerationCandidate,
  withTokenIds: boolean,
): MessageInitShape<typeof CandidateSchema> => ({
  index: finished.candidateIndex,
  text,
  reasoning,
  toolCalls: toolCalls.map(({ id, name, arguments: json }) => ({ id, name, arguments: json })),
  finishReason: finishReasons[finished.finishReason],
  warnings: finished.warnings.map(warningToWire),
  ...matchedToWire(finished.matched),
  ...(withTokenIds ? { tokenIds: [...tokenIds] } : {}),
  logprobs: logprobs.map(logprobToWire),
});

const logprobToWire = ({ logprob, top, ...token }: TokenLogprob): MessageInitShape<typeof wire.TokenLogprobSchema> => ({
  ...token,
  ...(logprob === undefined ? {} : { logprob }),
  top: [...top],
});

const parametersToWire = (parameters: EffectiveParameters): MessageInitShape<typeof wire.EffectiveParametersSchema> => {
  const { topK, stopSequences, stopTokenIds, ...rest } = parameters;
  return {
    ...rest,
    stopSequences: [...stopSequences],
    stopTokenIds: [...stopTokenIds],
    ...(topK === undefined ? {} : { topK }),
  };
};

const finishReasons = {
  "end-of-sequence": wire.FinishReason.END_OF_SEQUENCE,
  "stop-sequence": wire.FinishReason.STOP_SEQUENCE,
  "stop-token": wire.FinishReason.STOP_TOKEN,
  "max-output-tokens": wire.FinishReason.MAX_OUTPUT_TOKENS,
  "context-length": wire.FinishReason.CONTEXT_LENGTH,
  "time-budget": wire.FinishReason.TIME_BUDGET,
  "constraint-complete": wire.FinishReason.CONSTRAINT_COMPLETE,
  "tool-calls": wire.FinishReason.TOOL_CALLS,
  cancelled: wire.FinishReason.CANCELLED,
  "content-filter": wire.FinishReason.CONTENT_FILTER,
} as const satisfies Record<FinishReason, wire.FinishReason>;

const warningToWire = ({ kind, message }: OutputWarning): MessageInitShape<typeof wire.OutputWarningSchema> => ({
  kind: warningKinds[kind],
  message,
});

const warningKinds = {
  "malformed-tool-call": wire.OutputWarning_Kind.MALFORMED_TOOL_CALL,
  "unknown-tool": wire.OutputWarning_Kind.UNKNOWN_TOOL,
  "invalid-arguments": wire.OutputWarning_Kind.INVALID_ARGUMENTS,
  "markers-removed": wire.OutputWarning_Kind.MARKERS_REMOVED,
  "cut-at-marker": wire.OutputWarning_Kind.CUT_AT_MARKER,
  regenerated: wire.OutputWarning_Kind.REGENERATED,
  "broken-answer": wire.OutputWarning_Kind.BROKEN_ANSWER,
} as const satisfies Record<OutputWarning["kind"], wire.OutputWarning_Kind>;

const matchedToWire = (matched: StopMatch | undefined): { matched?: MessageInitShape<typeof StopMatchSchema> } => {
  if (matched === undefined) return {};
  return matched.type === "token"
    ? { matched: { match: { case: "tokenId", value: matched.tokenId } } }
    : { matched: { match: { case: "stopSequence", value: matched.text } } };
};

const timingsToWire = ({
  queueMs,
  timeToFirstTokenMs,
  decodeMs,
  totalMs,
}: Timings): MessageInitShape<typeof wire.TimingsSchema> => ({
  queue: durationFromMs(queueMs),
  timeToFirstToken: durationFromMs(timeToFirstTokenMs),
  decode: durationFromMs(decodeMs),
  total: durationFromMs(totalMs),
});
