import { Duration } from "effect";
import { AiError } from "effect/ai";
import { decodeError } from "../../decode-error.ts";
import type { MlxdError } from "../../errors.ts";
import { MlxdFailure } from "../index.ts";

/** Converts an error of this method to an error of `effect/ai`. */
export const toAiError =
  (method: string) =>
  (error: unknown): AiError.AiError =>
    AiError.make({
      module: "MlxdLanguageModel",
      method,
      reason: reasonOf(error instanceof MlxdFailure ? error.cause : decodeError(error)),
    });

const reasonOf = (error: MlxdError): AiError.AiErrorReason => {
  const { code, message, retryAfterMs, violations, reason, metadata } = error;
  const description = `${reason}: ${message}`;
  const mlxd = { mlxd: { reason, code, ...metadata } };
  switch (code) {
    case "INVALID_ARGUMENT":
    case "FAILED_PRECONDITION":
    case "OUT_OF_RANGE":
    case "NOT_FOUND":
    case "UNIMPLEMENTED":
      return new AiError.InvalidRequestError({ parameter: violations[0]?.field, description, metadata: mlxd });
    case "UNAUTHENTICATED":
      return new AiError.AuthenticationError({ kind: "InvalidKey", description, metadata: mlxd });
    case "PERMISSION_DENIED":
      return new AiError.AuthenticationError({ kind: "InsufficientPermissions", description, metadata: mlxd });
    case "RESOURCE_EXHAUSTED":
      return new AiError.RateLimitError({
        retryAfter: retryAfterMs === undefined ? undefined : Duration.millis(retryAfterMs),
        metadata: mlxd,
      });
    case "UNAVAILABLE":
    case "ABORTED":
    case "INTERNAL":
      return new AiError.InternalProviderError({ description, metadata: mlxd });
    default:
      return new AiError.UnknownError({ description, metadata: mlxd });
  }
};
