import type { Code } from "@connectrpc/connect";
import type { ErrorReason } from "./gen/mlxd/v1/error_details_pb.ts";
import type { Usage } from "./usage.ts";

/** A gRPC status code by its name in the gRPC specification. */
export type MlxdErrorCode = (typeof codeNames)[Code];

/**
 * Why a call failed: the reasons that the service gives, and those of the client.
 *
 * - `CONNECTION`: the service could not be reached, or the connection broke before the call was over.
 * - `PROTOCOL`: what came back is not what the API promises, e.g. a stream that ended without its last event.
 * - `INVALID_OUTPUT`: an object does not fit its schema, or is none: `violations` says where, `metadata.text` what came.
 * - `TOOL_FAILED`: a tool threw, was given what it does not take, or took too long, and was to end the run.
 * - `TOO_MANY_ROUNDS`: the model went on calling tools.
 * - `TURN_UNDER_WAY`: a conversation has one turn at a time.
 * - `CREDENTIALS`: the function that was to fetch a token failed.
 * - `UNKNOWN`: the other side gave no reason, or one that is newer than this client; `code` tells the kind.
 */
export type MlxdErrorReason =
  | Exclude<keyof typeof ErrorReason, "UNSPECIFIED">
  | "CONNECTION"
  | "PROTOCOL"
  | "INVALID_OUTPUT"
  | "TOOL_FAILED"
  | "TOO_MANY_ROUNDS"
  | "TURN_UNDER_WAY"
  | "CREDENTIALS"
  | "UNKNOWN";

/** A field that was refused, and why. */
export interface FieldViolation {
  /** Path of the field, e.g. `task.sampling.temperature`. */
  readonly field: string;
  /** What is wrong with it. */
  readonly description: string;
}

/** How far a generation had come when it failed. */
export interface GenerationProgress {
  /** Its id, as the service's logs have it; empty when it is not known. */
  readonly generationId: string;
  /** Tokens spent until then, as far as they are known. */
  readonly usage: Usage;
  /** The sequence number of the last event that arrived (or, as told by the service, was sent). */
  readonly lastSequence: number | undefined;
  /** What had arrived of the first answer's text; of a call that does not stream it is what was generated, where it is known. */
  readonly text: string;
}

/** What an {@link MlxdError} is made of. */
export interface MlxdErrorFields {
  readonly code: MlxdErrorCode;
  readonly reason: MlxdErrorReason;
  readonly message: string;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly violations?: readonly FieldViolation[] | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly progress?: GenerationProgress | undefined;
  readonly cause?: unknown;
}

/** A call that failed. Every method of the client throws this and nothing else. */
export class MlxdError extends Error {
  override readonly name = "MlxdError";
  /** The status code. */
  readonly code: MlxdErrorCode;
  /** Why it failed; what to branch on. */
  readonly reason: MlxdErrorReason;
  /** The numbers and names that the message tells, e.g. `promptTokens` and `contextLength`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** What was refused, for `INVALID_FIELD` and `INVALID_OUTPUT`: each place, and what is wrong there. */
  readonly violations: readonly FieldViolation[];
  /** How long the service asks to wait before the call is tried again, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** How far the generation had come, if it had begun. */
  readonly progress: GenerationProgress | undefined;

  constructor(fields: MlxdErrorFields) {
    super(fields.message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.code = fields.code;
    this.reason = fields.reason;
    this.metadata = fields.metadata ?? {};
    this.violations = fields.violations ?? [];
    this.retryAfterMs = fields.retryAfterMs;
    this.progress = fields.progress;
  }
}

/** Whether this value is an {@link MlxdError}, and, if a reason is given, one with that reason. */
export const isMlxdError = <Reason extends MlxdErrorReason = MlxdErrorReason>(
  value: unknown,
  reason?: Reason,
): value is MlxdError & { readonly reason: Reason } =>
  // By name and not by class: two copies of this package in one program make two classes.
  value instanceof Error &&
  value.name === "MlxdError" &&
  "reason" in value &&
  (reason === undefined || value.reason === reason);

/**
 * The first {@link MlxdError} of this value and its chain of causes, and, if a reason is given, the first with that
 * reason; undefined where there is none. For errors that other code has wrapped.
 */
export const findMlxdError = <Reason extends MlxdErrorReason = MlxdErrorReason>(
  value: unknown,
  reason?: Reason,
): (MlxdError & { readonly reason: Reason }) | undefined => {
  const seen = new Set<unknown>(); // a chain of causes can be a ring
  for (let error = value; error instanceof Error && !seen.has(error); error = error.cause) {
    if (isMlxdError(error, reason)) return error;
    seen.add(error);
  }
  return undefined;
};

/** The error for an argument that cannot be sent. */
export const invalidField = (field: string, description: string): MlxdError =>
  new MlxdError({
    code: "INVALID_ARGUMENT",
    reason: "INVALID_FIELD",
    message: `${field}: ${description}`,
    violations: [{ field, description }],
  });

/** The error for an option that is none. Only callers without types get it: dropping it in silence would be worse. */
export const noSuchOption = (name: string): MlxdError => invalidField(name, "there is no such option");

/** Refuses what is left of options when those that there are have been taken out. */
export const assertNoOthers = (others: object, place = ""): void => {
  for (const name of Object.keys(others)) throw noSuchOption(place + name);
};

/** The error for an answer that breaks the API's promises. */
export const protocolError = (message: string, progress?: GenerationProgress): MlxdError =>
  new MlxdError({ code: "INTERNAL", reason: "PROTOCOL", message, progress });

/** Names of the status codes, by number. */
export const codeNames = {
  1: "CANCELLED",
  2: "UNKNOWN",
  3: "INVALID_ARGUMENT",
  4: "DEADLINE_EXCEEDED",
  5: "NOT_FOUND",
  6: "ALREADY_EXISTS",
  7: "PERMISSION_DENIED",
  8: "RESOURCE_EXHAUSTED",
  9: "FAILED_PRECONDITION",
  10: "ABORTED",
  11: "OUT_OF_RANGE",
  12: "UNIMPLEMENTED",
  13: "INTERNAL",
  14: "UNAVAILABLE",
  15: "DATA_LOSS",
  16: "UNAUTHENTICATED",
} as const satisfies Record<Code, string>;
