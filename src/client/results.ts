import { create } from "@bufbuild/protobuf";
import { enumName, type FinishReason, type OutputWarningKind } from "./enum-names.ts";
import { protocolError } from "./errors.ts";
import type {
  Candidate as CandidateMessage,
  GenerationResult as GenerationResultMessage,
  StopMatch as StopMatchMessage,
} from "./gen/mlxd/v1/generation_service_pb.ts";
import {
  type EffectiveParameters as EffectiveParametersMessage,
  EffectiveParametersSchema,
  FinishReasonSchema,
  type OutputWarning as OutputWarningMessage,
  OutputWarning_KindSchema,
  type Timings as TimingsMessage,
  TimingsSchema,
  type TokenLogprob as TokenLogprobMessage,
  TokenLogprobSchema,
} from "./gen/mlxd/v1/types_pb.ts";
import { type Plain, toPlain } from "./plain.ts";
import { type Usage, usageFromWire } from "./usage.ts";

/** Where the time went, in milliseconds: `queueMs`, `timeToFirstTokenMs` and `decodeMs` make `totalMs`. */
export type Timings = Plain<TimingsMessage>;

/** The parameters that a generation really ran with. */
export type EffectiveParameters = Plain<EffectiveParametersMessage>;

/** A token with its logprob. */
export type TokenLogprob = Plain<TokenLogprobMessage>;

/** A call of a tool that the model made. */
export interface ToolCall {
  /** Its id; the message that answers it carries this id. */
  readonly id: string;
  /** The function's name. */
  readonly name: string;
  /** Its arguments: the JSON text as the model wrote it. */
  readonly arguments: string;
}

/** Something of the output is not as the model wrote it, or not as it meant it. */
export interface OutputWarning {
  /**
   * `malformed_tool_call` (cut off or unreadable), `unknown_tool`, `invalid_arguments` (they do not fit the tool's
   * schema): what the model meant as a call is in the text. `markers_removed`: the text is without role markers or special
   * tokens that the model leaked. `cut_at_marker`: it ends where the model wrote a marker of its family's in ordinary text.
   */
  readonly kind: OutputWarningKind;
  /** One sentence. */
  readonly message: string;
}

/** What ended an output: a text or a token. */
export type StopMatch = { readonly stopSequence: string } | { readonly tokenId: number };

/** One answer. */
export interface Candidate {
  /** Its number, from 0. */
  readonly index: number;
  /** The text: byte for byte what the stream's chunks join to. */
  readonly text: string;
  /** Reasoning, apart from the text, of models that mark it; otherwise empty. */
  readonly reasoning: string;
  /** Calls of tools, in the order made. */
  readonly toolCalls: readonly ToolCall[];
  /** Ids of the output tokens, if asked for. */
  readonly tokenIds: readonly number[];
  /** Logprobs of the output tokens, if asked for. */
  readonly logprobs: readonly TokenLogprob[];
  /** Why it ended. */
  readonly finishReason: FinishReason;
  /** What matched, for `stop_sequence`, `stop_token` and `end_of_sequence`. */
  readonly matched: StopMatch | undefined;
  /** What of the output is not as the model wrote it, or not as it meant it; mostly empty. */
  readonly warnings: readonly OutputWarning[];
}

/** What a generation came to: its first answer's parts, and what holds for all answers. */
export interface GenerationResult extends Omit<Candidate, "index"> {
  /** Id of this generation, as the service's logs have it. */
  readonly generationId: string;
  /** Id of the model that answered. */
  readonly model: string;
  /** Its revision. */
  readonly modelRevision: string;
  /** All answers; one unless `candidateCount` asked for more. */
  readonly candidates: readonly Candidate[];
  /** Tokens spent, over all answers. */
  readonly usage: Usage;
  /** Where the time went, if asked for. */
  readonly timings: Timings | undefined;
  /** What the generation ran with. */
  readonly parameters: EffectiveParameters;
  /** The prompt's tokens, if `promptLogprobs` was asked for. */
  readonly prompt: readonly TokenLogprob[];
  /** Models that were asked before and did not answer, of a task with `alternatives`. */
  readonly passedOver: readonly PassedOver[];
}

/** A model that was asked before the one that answered. */
export interface PassedOver {
  /** As the task names it. */
  readonly model: string;
  /** Why it did not answer: a reason as errors have them, such as `BACKEND_UNAVAILABLE`. */
  readonly reason: string;
  /** The same as one sentence. */
  readonly message: string;
}

/** Everything of a result but the first answer's parts, which {@link createResult} takes from the answers. */
export type ResultFields = Omit<GenerationResult, keyof Candidate>;

/** Makes a result of its parts. There is at least one answer. */
export const createResult = (fields: ResultFields): GenerationResult => {
  const [first] = fields.candidates;
  if (first === undefined) throw protocolError("the result has no answer");
  const { index: _, ...answer } = first;
  return { ...answer, ...fields };
};

/** Reads the result of a unary call or of a batch's item. */
export const resultFromWire = (result: GenerationResultMessage | undefined): GenerationResult => {
  if (result === undefined) throw protocolError("the answer has no result");
  const { generationId, model, modelRevision } = result;
  return createResult({
    generationId,
    model,
    modelRevision,
    candidates: result.candidates.map(candidateFromWire),
    usage: usageFromWire(result.usage),
    timings: timingsFromWire(result.timings),
    parameters: parametersFromWire(result.parameters),
    prompt: logprobsFromWire(result.prompt),
    passedOver: passedOverFromWire(result.passedOver),
  });
};

/** Reads the models that were asked in vain. */
export const passedOverFromWire = (passedOver: readonly PassedOver[]): readonly PassedOver[] =>
  passedOver.map(({ model, reason, message }) => ({ model, reason, message }));

const candidateFromWire = (candidate: CandidateMessage): Candidate => ({
  index: candidate.index,
  text: candidate.text,
  reasoning: candidate.reasoning,
  toolCalls: candidate.toolCalls.map(({ id, name, arguments: json }) => ({ id, name, arguments: json })),
  tokenIds: candidate.tokenIds,
  logprobs: logprobsFromWire(candidate.logprobs),
  finishReason: finishReasonFromWire(candidate.finishReason),
  matched: matchFromWire(candidate.matched),
  warnings: warningsFromWire(candidate.warnings),
});

/** Reads the warnings of an answer. */
export const warningsFromWire = (warnings: readonly OutputWarningMessage[]): readonly OutputWarning[] =>
  warnings.map(({ kind, message }) => ({ kind: outputWarningKind(kind), message }));

const outputWarningKind = (kind: number): OutputWarningKind =>
  enumName(OutputWarning_KindSchema, kind) as OutputWarningKind; // as the type is made of the same names

/** Reads why an answer ended. */
export const finishReasonFromWire = (reason: number): FinishReason =>
  enumName(FinishReasonSchema, reason) as FinishReason; // as the type is made of the same names

/** Reads what ended an output. */
export const matchFromWire = (matched: StopMatchMessage | undefined): StopMatch | undefined => {
  switch (matched?.match.case) {
    case "stopSequence":
      return { stopSequence: matched.match.value };
    case "tokenId":
      return { tokenId: matched.match.value };
    case undefined:
      return undefined;
  }
};

/** Reads the timings, if they were asked for. */
export const timingsFromWire = (timings: TimingsMessage | undefined): Timings | undefined =>
  timings && toPlain(TimingsSchema, timings);

/** Reads what a generation runs with. */
export const parametersFromWire = (parameters: EffectiveParametersMessage | undefined): EffectiveParameters =>
  toPlain(EffectiveParametersSchema, parameters ?? create(EffectiveParametersSchema));

/** Reads logprobs. */
export const logprobsFromWire = (logprobs: readonly TokenLogprobMessage[]): readonly TokenLogprob[] =>
  logprobs.map((logprob) => toPlain(TokenLogprobSchema, logprob));
