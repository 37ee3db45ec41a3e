import { create } from "@bufbuild/protobuf";
import { enumName, type FinishReason, type OutputWarningKind } from "./enum-names.ts";
import { protocolError } from "./errors.ts";
import type {
  Candidate as CandidateMessage,
  GenerationResult as GenerationResultMessage,
  StopMatch as StopMatchMessage,
} from "./gen/mlxd/v1/generation_service_pb.ts";
import {
  type ContextReport as ContextReportMessage,
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

/** Timings in milliseconds: `queueMs`, `timeToFirstTokenMs` and `decodeMs` add up to `totalMs`. */
export type Timings = Plain<TimingsMessage>;

/** The parameters that a generation ran with, defaults filled in. */
export type EffectiveParameters = Plain<EffectiveParametersMessage>;

/** A token with its logprob. */
export type TokenLogprob = Plain<TokenLogprobMessage>;

/** A tool call of the model. */
export interface ToolCall {
  /** Its id; the message that answers it carries this id. */
  readonly id: string;
  /** The function's name. */
  readonly name: string;
  /** Its arguments: JSON text as the model wrote it. */
  readonly arguments: string;
}

/** The output differs from what the model wrote, or meant. */
export interface OutputWarning {
  /**
   * `malformed_tool_call` (truncated or unreadable), `unknown_tool`, `invalid_arguments` (they do not match the tool's schema):
   * what the model meant as a tool call is in the text. `markers_removed`: role markers or special tokens were removed from the
   * text. `cut_at_marker`: the text ends where the model wrote a marker of its family in ordinary text.
   */
  readonly kind: OutputWarningKind;
  /** One sentence. */
  readonly message: string;
}

/** What ended the output: a text or a token. */
export type StopMatch = { readonly stopSequence: string } | { readonly tokenId: number };

/** One candidate: an answer of the model. */
export interface Candidate {
  /** Its index, from 0. */
  readonly index: number;
  /** The text: exactly the concatenation of the chunks of a stream. */
  readonly text: string;
  /** The reasoning of models that mark it; otherwise empty. */
  readonly reasoning: string;
  /** Tool calls, in order. */
  readonly toolCalls: readonly ToolCall[];
  /** Ids of the output tokens, if requested. */
  readonly tokenIds: readonly number[];
  /** Logprobs of the output tokens, if requested. */
  readonly logprobs: readonly TokenLogprob[];
  /** Why it ended. */
  readonly finishReason: FinishReason;
  /** What matched, for `stop_sequence`, `stop_token` and `end_of_sequence`. */
  readonly matched: StopMatch | undefined;
  /** Where the output differs from what the model wrote or meant; usually empty. */
  readonly warnings: readonly OutputWarning[];
}

/** The result of a generation: the first candidate, and what applies to all candidates. */
export interface GenerationResult extends Omit<Candidate, "index"> {
  /** Id of this generation, also in the service's logs. */
  readonly generationId: string;
  /** Id of the model that answered. */
  readonly model: string;
  /** Its revision. */
  readonly modelRevision: string;
  /** All candidates; one unless `candidateCount` is larger. */
  readonly candidates: readonly Candidate[];
  /** Tokens used, over all candidates. */
  readonly usage: Usage;
  /** Timings, if requested. */
  readonly timings: Timings | undefined;
  /** The parameters that it ran with. */
  readonly parameters: EffectiveParameters;
  /** The tokens of the prompt, if `promptLogprobs` was set. */
  readonly prompt: readonly TokenLogprob[];
  /** For a task with `alternatives`: the models that were tried before and did not answer. */
  readonly passedOver: readonly PassedOver[];
  /** What was left out of the conversation by its `contextPolicy`; undefined if nothing was. */
  readonly context: ContextReport | undefined;
}

/** How a conversation was shortened. */
export interface ContextReport {
  /** Number of messages that were left out, the oldest ones. */
  readonly droppedMessages: number;
  /** The summary that the model got in their place; empty unless the policy is `summarise`. */
  readonly summary: string;
  /** The cost of the summary, which is not part of the answer's usage. */
  readonly summaryUsage: Usage | undefined;
}

/** A model that was tried before the one that answered. */
export interface PassedOver {
  /** Its name in the task. */
  readonly model: string;
  /** Why it did not answer: the reason of an error, e.g. `BACKEND_UNAVAILABLE`. */
  readonly reason: string;
  /** The same as one sentence. */
  readonly message: string;
}

/** A result without the fields of its first candidate, which {@link createResult} adds. */
export type ResultFields = Omit<GenerationResult, keyof Candidate>;

/** Makes a result. It must have at least one candidate. */
export const createResult = (fields: ResultFields): GenerationResult => {
  const [first] = fields.candidates;
  if (first === undefined) throw protocolError("the result has no candidate");
  const { index: _, ...answer } = first;
  return { ...answer, ...fields };
};

/** Reads the result of a unary call or of a batch's item. */
export const resultFromWire = (result: GenerationResultMessage | undefined): GenerationResult => {
  if (result === undefined) throw protocolError("the response has no result");
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
    context: contextFromWire(result.context),
  });
};

/** Reads what was left out. */
export const contextFromWire = (context: ContextReportMessage | undefined): ContextReport | undefined =>
  context && {
    droppedMessages: context.droppedMessages,
    summary: context.summary,
    summaryUsage: context.summaryUsage && usageFromWire(context.summaryUsage),
  };

/** Reads the models that did not answer. */
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

/** Reads the warnings of a candidate. */
export const warningsFromWire = (warnings: readonly OutputWarningMessage[]): readonly OutputWarning[] =>
  warnings.map(({ kind, message }) => ({ kind: outputWarningKind(kind), message }));

const outputWarningKind = (kind: number): OutputWarningKind =>
  enumName(OutputWarning_KindSchema, kind) as OutputWarningKind; // the type has the same names

/** Reads why a candidate ended. */
export const finishReasonFromWire = (reason: number): FinishReason =>
  enumName(FinishReasonSchema, reason) as FinishReason; // the type has the same names

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

/** Reads the timings, if there are any. */
export const timingsFromWire = (timings: TimingsMessage | undefined): Timings | undefined =>
  timings && toPlain(TimingsSchema, timings);

/** Reads the parameters that a generation runs with. */
export const parametersFromWire = (parameters: EffectiveParametersMessage | undefined): EffectiveParameters =>
  toPlain(EffectiveParametersSchema, parameters ?? create(EffectiveParametersSchema));

/** Reads logprobs. */
export const logprobsFromWire = (logprobs: readonly TokenLogprobMessage[]): readonly TokenLogprob[] =>
  logprobs.map((logprob) => toPlain(TokenLogprobSchema, logprob));
