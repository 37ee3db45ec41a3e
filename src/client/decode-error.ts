import type { Any } from "@bufbuild/protobuf/wkt";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { deepestMessage, describeConnection } from "./describe-connection.ts";
import { codeNames, type GenerationProgress, MlxdError, type MlxdErrorReason } from "./errors.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.ts";
import type { Status } from "./gen/google/rpc/status_pb.ts";
import { ErrorReason, GenerationFailureSchema } from "./gen/mlxd/v1/error_details_pb.ts";
import { type NameOf, nameOptionsIn, optionName } from "./option-names.ts";
import { usageFromWire } from "./usage.ts";

/** What the client knows about a call that failed. */
export interface FailedCall {
  /** Present if the caller cancelled the call, with its reason. */
  readonly cancelled?: { readonly reason: unknown } | undefined;
  /** The progress of the stream; the progress that the service reports takes precedence. */
  readonly progress?: GenerationProgress | undefined;
  /** Converts field paths to the caller's names; without it they remain those of the API. */
  readonly nameOf?: NameOf | undefined;
}

/** Converts whatever a transport throws to an {@link MlxdError}. */
export const decodeError = (error: unknown, { cancelled, progress, nameOf }: FailedCall = {}): MlxdError => {
  if (error instanceof MlxdError) return error;
  const named = (text: string): string => (nameOf ? nameOptionsIn(text, nameOf) : text);
  const connectError = ConnectError.from(error);
  const info = connectError.findDetails(ErrorInfoSchema).find(({ domain }) => domain === "mlxd");
  const { code, reason, message, field } = info
    ? { ...fromCode(connectError), reason: reasonFromWire(info.reason) }
    : cancelled
      ? cancelledByCaller
      : classify(connectError);

  const violations = connectError.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  const retryDelay = connectError.findDetails(RetryInfoSchema)[0]?.retryDelay;
  const failure = connectError.findDetails(GenerationFailureSchema)[0];
  return new MlxdError({
    code: codeNames[code],
    reason,
    message: named(message),
    metadata: info?.metadata && nameField(info.metadata, nameOf),
    violations: field
      ? [{ field, description: message }]
      : violations.map(({ field: path, description }) => ({
          field: nameOf?.(path) ?? path,
          description: named(description),
        })),
    retryAfterMs: retryDelay && durationMs(retryDelay),
    progress: failure
      ? {
          generationId: failure.generationId,
          usage: usageFromWire(failure.usage),
          lastSequence: failure.lastSequence,
          text: progress?.text ?? "",
        }
      : progress,
    cause: reason === "CANCELLED" && cancelled ? cancelled.reason : connectError,
  });
};

/** Converts the status of a batch's item to the error that a separate call would have thrown. */
export const errorFromStatus = ({ code, message, details }: Status, nameOf: NameOf = optionName): MlxdError => {
  const error = new ConnectError(message, code in codeNames ? code : Code.Unknown);
  error.details = details.map(({ typeUrl, value }: Any) => ({
    type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
    value,
  }));
  return decodeError(error, { nameOf });
};

/** Converts the path of a refused option in its metadata. */
const nameField = (metadata: Readonly<Record<string, string>>, nameOf: NameOf | undefined) =>
  nameOf && metadata["field"] !== undefined ? { ...metadata, field: nameOf(metadata["field"]) } : metadata;

interface Classified {
  readonly code: Code;
  readonly reason: MlxdErrorReason;
  readonly message: string;
  readonly field?: string;
}

const cancelledByCaller: Classified = {
  code: Code.Canceled,
  reason: "CANCELLED",
  message: "the caller ended this call",
};

const reasonFromWire = (reason: string): MlxdErrorReason =>
  reason !== "UNSPECIFIED" && Object.hasOwn(ErrorReason, reason) ? (reason as MlxdErrorReason) : "UNKNOWN";

const fromCode = ({ code, rawMessage }: ConnectError): Classified => ({ code, reason: "UNKNOWN", message: rawMessage });

/**
 * Finds out what an error without an ErrorInfo is: made by the transport, by this machine or by something between.
 * Each kind of transport reports the same misfortune in its own way; test/client/connection.test.ts has them all.
 */
const classify = (error: ConnectError): Classified => {
  const { code, rawMessage, cause } = error;
  const connection = (message: string): Classified => ({
    code: Code.Unavailable,
    reason: "CONNECTION",
    message: describeConnection(cause) ?? message,
  });

  const unsent = /cannot encode field (?:mlxd\.v1\.)?(\S+) to (?:binary|JSON): (.*)/.exec(rawMessage);
  if (unsent) {
    const [, field = "", problem = ""] = unsent;
    return { code: Code.InvalidArgument, reason: "INVALID_FIELD", message: problem, field };
  }
  if (code === Code.DeadlineExceeded) return { code, reason: "DEADLINE", message: "the call's deadline passed" };
  if (code === Code.Unavailable) return connection(rawMessage);
  // Not by the caller: the server closed the connection, or something in between did.
  if (code === Code.Canceled) return connection(`the connection was closed: ${rawMessage}`);
  if (/missing (EndStreamResponse|status)$|incomplete envelope$/.test(rawMessage)) {
    return connection("the connection was cut mid-stream");
  }
  // Proxies that give up a call close its stream so, e.g. Envoy.
  if (/closed with error code NO_ERROR .* before the response was received$/.test(rawMessage)) {
    return connection("the connection was closed before there was an answer");
  }
  if (systemCode(cause) === "ERR_BUFFER_TOO_LARGE") {
    return { code: Code.ResourceExhausted, reason: "UNKNOWN", message: "a message is larger than readMaxBytes" };
  }
  if (
    systemCode(cause) !== undefined ||
    (code === Code.Unknown && cause instanceof Error && !(cause instanceof SyntaxError))
  ) {
    return connection(`the connection failed: ${deepestMessage(cause)}`);
  }
  if (
    cause instanceof SyntaxError ||
    /^(protocol error|parse (?:binary|JSON)|unsupported|HTTP [23])/.test(rawMessage)
  ) {
    return { code: Code.Internal, reason: "PROTOCOL", message: `the answer is not mlxd's: ${rawMessage}` };
  }
  return fromCode(error);
};

/** The code of an error of the operating system, of a socket or of Node: those carry one such as `ECONNRESET`. */
const systemCode = (cause: unknown): string | undefined =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : undefined;
