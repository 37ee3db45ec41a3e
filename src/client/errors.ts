import type { Code } from "@connectrpc/connect";
import type { ErrorReason } from "./gen/mlxd/v1/error_details_pb.ts";
import type { Usage } from "./usage.ts";

/** A gRPC status code by its name in the gRPC specification. */
export type MlxdErrorCode = (typeof codeNames)[Code];

/**
 * Why a call failed: the reasons of the service, and those of the client.
 *
 * - `CONNECTION`: the service could not be reached, or the connection broke before the call had ended.
 * - `PROTOCOL`: the response violates the API, e.g. a stream that ended without its last event.
 * - `INVALID_OUTPUT`: the output is not an object that matches its schema: `violations` says where, `metadata.text` is the output.
 * - `TOOL_FAILED`: a tool threw, got arguments that do not match its schema, or took too long, and failures end the run.
 * - `TOO_MANY_ROUNDS`: the model still called tools in the last round.
 * - `TURN_UNDER_WAY`: the conversation already has a turn under way.
 * - `CREDENTIALS`: the function that fetches a token failed.
 * - `UNKNOWN`: the server gave no reason, or one that is newer than this client; `code` has the kind.
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

/** A field that was refused, with the reason. */
export interface FieldViolation {
  /** Path of the field, e.g. `task.sampling.temperature`. */
  readonly field: string;
  /** What is wrong with it. */
  readonly description: string;
}

/** The progress of a generation when it failed. */
export interface GenerationProgress {
  /** Its id in the service's logs; empty if it is not known. */
  readonly generationId: string;
  /** Tokens used until then, as far as known. */
  readonly usage: Usage;
  /** The sequence number of the last event that arrived, or, if the service reports it, that was sent. */
  readonly lastSequence: number | undefined;
  /** The text of the first candidate that had arrived; for a call that does not stream, what was generated, if known. */
  readonly text: string;
}

/** The fields of an {@link MlxdError}. */
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

/** A call that failed. Methods of the client throw no other error. */
export class MlxdError extends Error {
  override readonly name = "MlxdError";
  /** The status code. */
  readonly code: MlxdErrorCode;
  /** Why it failed; for decisions in code. */
  readonly reason: MlxdErrorReason;
  /** The numbers and names in the message, e.g. `promptTokens` and `contextLength`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** For `INVALID_FIELD` and `INVALID_OUTPUT`: each refused field, and what is wrong with it. */
  readonly violations: readonly FieldViolation[];
  /** How long the service asks to wait before a retry, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** The progress of the generation, if it had begun. */
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
  // Checked by name and not by class: two copies of this package in one program have two classes.
  value instanceof Error &&
  value.name === "MlxdError" &&
  "reason" in value &&
  (reason === undefined || value.reason === reason);

/**
 * The first {@link MlxdError} among this value and its chain of causes, or, if a reason is given, the first with that
 * reason; undefined if there is none. For errors that other code has wrapped.
 */
export const findMlxdError = <Reason extends MlxdErrorReason = MlxdErrorReason>(
  value: unknown,
  reason?: Reason,
): (MlxdError & { readonly reason: Reason }) | undefined => {
  const seen = new Set<unknown>(); // a chain of causes can be circular
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

/** The error for an unknown option, which is refused and not ignored. Only callers without types get it. */
export const noSuchOption = (name: string): MlxdError => invalidField(name, "there is no such option");

/** Refuses the options that remain when all known ones have been taken out. */
export const assertNoOthers = (others: object, place = ""): void => {
  for (const name of Object.keys(others)) throw noSuchOption(place + name);
};

/** The error for a response that violates the API. */
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
