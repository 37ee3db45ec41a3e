import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack, durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { systemClock } from "../clock.ts";
import type { FinishReason } from "../enum-names.ts";
import { codeNames, type MlxdErrorCode } from "../errors.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import type { GenerationResultSchema, StreamGenerateResponseSchema } from "../gen/mlxd/v1/generation_service_pb.ts";
import type { ErrorReason } from "../gen/mlxd/v1/error_details_pb.ts";
import { FinishReason as WireFinishReason } from "../gen/mlxd/v1/types_pb.ts";
import type { Json } from "../messages.ts";

/** An answer of the model: a text, or all of its parts. */
export type ScriptedAnswer = string | ScriptedParts;

/** An answer, and how it is sent. */
export interface ScriptedParts {
  /**
   * The text; an array is sent piece by piece.
   * @default ""
   */
  readonly text?: string | readonly string[] | undefined;
  /** Reasoning before the text. */
  readonly reasoning?: string | undefined;
  /** Tool calls, after the text. */
  readonly toolCalls?: readonly { readonly name: string; readonly arguments: Json }[] | undefined;
  /**
   * Why it ends.
   * @default "tool_calls" if it calls tools, otherwise "end_of_sequence"
   */
  readonly finishReason?: Exclude<FinishReason, "unknown"> | undefined;
  /** Delay before each piece, in milliseconds. Ends when the caller leaves. */
  readonly delayMs?: number | undefined;
  /** The call fails with this error after its pieces, or, if it has none, before it begins. */
  readonly error?: ScriptedError | undefined;
}

/** How a call fails. */
export interface ScriptedError {
  /** A reason of the service, or `CONNECTION` for a broken connection. */
  readonly reason: Exclude<keyof typeof ErrorReason, "UNSPECIFIED"> | "CONNECTION";
  /**
   * Its status code.
   * @default "UNAVAILABLE"
   */
  readonly code?: MlxdErrorCode | undefined;
  /**
   * Its message.
   * @default the reason
   */
  readonly message?: string | undefined;
  /** The retry delay of the service, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
}

type Chunk = { text?: string; reasoning?: string; toolCalls?: ScriptedCall[] };
type ScriptedCall = { index: number; id: string; name: string; arguments: string };

/** The messages of a stream with this answer. */
export const streamed = async function* (
  answer: ScriptedParts,
  model: string,
  number: number,
  context: HandlerContext,
): AsyncGenerator<MessageInitShape<typeof StreamGenerateResponseSchema>, void, undefined> {
  const chunks = chunksOf(answer, number);
  if (answer.error && chunks.length === 0) throw errorOf(answer.error);
  let sequence = 0;
  yield { sequence: sequence++, event: { case: "started", value: { ...identity(model, number), promptTokens: 1 } } };
  for (const [index, chunk] of chunks.entries()) {
    if (answer.delayMs !== undefined) await systemClock.sleep(answer.delayMs, context.signal);
    yield { sequence: sequence++, event: { case: "chunk", value: { ...chunk, outputTokens: index + 1 } } };
  }
  if (answer.error) throw errorOf(answer.error);
  const value = { finishReason: finishReasonOf(answer), usage: usageOf(chunks) };
  yield { sequence, event: { case: "finished", value } };
};

/** The same answer as one message. */
export const whole = async (
  answer: ScriptedParts,
  model: string,
  number: number,
  context: HandlerContext,
): Promise<MessageInitShape<typeof GenerationResultSchema>> => {
  const chunks = chunksOf(answer, number);
  for (const _ of chunks) if (answer.delayMs !== undefined) await systemClock.sleep(answer.delayMs, context.signal);
  if (answer.error) throw errorOf(answer.error);
  const candidate = {
    text: chunks.map(({ text = "" }) => text).join(""),
    reasoning: answer.reasoning ?? "",
    toolCalls: chunks.flatMap(({ toolCalls = [] }) => toolCalls),
    finishReason: finishReasonOf(answer),
  };
  return { ...identity(model, number), candidates: [candidate], usage: usageOf(chunks) };
};

/** The same answer as the outcome of an item of a batch: other items do not fail with it, unless the connection breaks. */
export const outcomeOf = async (answer: ScriptedParts, model: string, number: number, context: HandlerContext) => {
  const { error, ...parts } = answer;
  if (error === undefined || error.reason === "CONNECTION") {
    return { case: "result" as const, value: await whole(answer, model, number, context) };
  }
  await whole(parts, model, number, context); // takes its time
  return { case: "error" as const, value: statusOf(error) };
};

const identity = (model: string, number: number) => ({
  generationId: `test-generation-${number}`,
  model,
  modelRevision: "test",
});

const chunksOf = ({ reasoning, text = [], toolCalls = [] }: ScriptedParts, number: number): readonly Chunk[] => {
  const calls = toolCalls.map(({ name, arguments: value }, index) => {
    const json = typeof value === "string" ? value : JSON.stringify(value);
    return { index, id: `test-call-${number}-${index}`, name, arguments: json };
  });
  return [
    ...(reasoning === undefined ? [] : [{ reasoning }]),
    ...(typeof text === "string" ? [text] : text).filter((piece) => piece !== "").map((piece) => ({ text: piece })),
    ...(calls.length === 0 ? [] : [{ toolCalls: calls }]),
  ];
};

const usageOf = ({ length }: readonly Chunk[]) => ({ promptTokens: 1, outputTokens: length });

const finishReasonOf = ({ finishReason, toolCalls = [] }: ScriptedParts): WireFinishReason => {
  const name = finishReason ?? (toolCalls.length > 0 ? "tool_calls" : "end_of_sequence");
  return WireFinishReason[name.toUpperCase() as keyof typeof WireFinishReason]; // the type has its names
};

const errorOf = (error: ScriptedError): ConnectError => {
  const { code, message } = statusOf(error);
  if (error.reason === "CONNECTION") return new ConnectError(message, Code.Unavailable);
  return new ConnectError(message, code, undefined, detailsOf(error));
};

const statusOf = (error: ScriptedError) => {
  const { reason, code = "UNAVAILABLE", message = reason } = error;
  const number = Number(Object.entries(codeNames).find(([, name]) => name === code)?.[0] ?? Code.Unavailable) as Code;
  const details = detailsOf(error).map(({ desc, value }) => anyPack(desc, create(desc, value)));
  return { code: number, message, details };
};

type ErrorDetail = { readonly desc: DescMessage; readonly value: MessageInitShape<DescMessage> };

const detailsOf = ({ reason, retryAfterMs }: ScriptedError): ErrorDetail[] => {
  const info = { desc: ErrorInfoSchema, value: { domain: "mlxd", reason } };
  if (retryAfterMs === undefined) return [info];
  return [info, { desc: RetryInfoSchema, value: { retryDelay: durationFromMs(retryAfterMs) } }];
};
