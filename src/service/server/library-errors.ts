/**
 * Completes the errors that Connect raises itself before a handler is reached: for a message that cannot be decoded or
 * is too large, or for an invalid deadline. They lack ErrorInfo, report a malformed protobuf message as INTERNAL, and
 * quote part of the request for JSON.
 *
 * No interceptor sees them. But all of Connect's protocol handlers abort the call's signal with the error before they
 * write it, and abort listeners run synchronously, so the error can be changed there.
 */
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";

import type { ErrorReason } from "../../client/gen/mlxd/v1/error_details_pb.ts";
import { InvalidField } from "../domain/errors.ts";
import { type Detail, detailsOf, errorInfo, maxMessageBytes, truncateUtf8, withinCap } from "../rpc/error-details.ts";
import { jsonFault } from "../wire/json-fault.ts";
import type { JsonFault } from "../wire/json-scan.ts";
import { currentJsonText } from "./json-text.ts";

/** @param readMaxBytes the largest allowed request message */
export const explainLibraryErrors = ({ signal, method }: HandlerContext, readMaxBytes: number): void => {
  const json = currentJsonText();
  const complete = () => {
    const error: unknown = signal.reason;
    if (!(error instanceof ConnectError) || error.details.length > 0) return;
    const explained = explain(error, readMaxBytes, () =>
      json?.text === undefined ? undefined : jsonFault(method.input, json.text),
    );
    if (explained === undefined) return;
    const { code, message, details } = explained;
    const rawMessage = truncateUtf8(message, maxMessageBytes);
    // Read-only in the type, but not in the object: there is no other way to change a ConnectError.
    Object.assign(error, { code, rawMessage, message: `[${Code[code]}] ${rawMessage}` });
    error.details.push(...withinCap(details));
  };
  signal.addEventListener("abort", complete, { once: true });
};

interface Explained {
  readonly code: Code;
  readonly message: string;
  readonly details: ReadonlyArray<Detail>;
}

const explained = (code: Code, message: string, reason: keyof typeof ErrorReason): Explained => ({
  code,
  message,
  details: [errorInfo(reason, {})],
});

const malformed = (message: string): Explained => explained(Code.InvalidArgument, message, "MALFORMED_REQUEST");

const explain = (
  { code, rawMessage, cause }: ConnectError,
  readMaxBytes: number,
  findFault: () => JsonFault | undefined,
): Explained | undefined => {
  if (code === Code.ResourceExhausted) {
    const bytes = /\b(\d+) (?:bytes|is larger)|size (\d+)/
      .exec(rawMessage)
      ?.slice(1)
      .find((size) => size !== undefined);
    const size = bytes === undefined || bytes === String(readMaxBytes) ? "is larger" : `has ${bytes} bytes`;
    const message = `the request's message ${size}; it may have ${readMaxBytes} bytes at most (MLXD_MAX_MESSAGE_BYTES)`;
    return explained(code, message, "MESSAGE_TOO_LARGE");
  }
  if (code === Code.Internal && rawMessage.startsWith("parse binary:")) {
    return malformed("the request is no well-formed protobuf message");
  }
  // The code is gRPC's: a frame that says it is compressed although no header names how.
  if (code === Code.Internal && rawMessage.startsWith("received compressed envelope")) {
    return explained(code, "a frame is marked as compressed, but no header names an encoding", "MALFORMED_REQUEST");
  }
  // For a query; other messages are decompressed before Connect gets them (receive-message.ts).
  if (rawMessage === "decompression failed") return malformed("the query's message cannot be decompressed");
  if (code !== Code.InvalidArgument && code !== Code.Unimplemented) return undefined;
  if (cause instanceof TypeError && "code" in cause && cause.code === "ERR_ENCODING_INVALID_ENCODED_DATA") {
    return malformed("the request is not in UTF-8, as JSON has to be");
  }
  // Not every error of the decoder says what it is: a duration with ten decimals gives a bare RangeError.
  const fault = code === Code.InvalidArgument ? findFault() : undefined;
  if (fault !== undefined) return malformedAt(fault);
  if (rawMessage.startsWith("cannot decode ")) return malformed("the request cannot be read as JSON");
  return explained(code, rawMessage, "MALFORMED_REQUEST");
};

const malformedAt = ({ field, description }: JsonFault): Explained => {
  if (field === "") return malformed(description);
  const { message, details } = malformed(`${field}: ${description}`);
  const fields = new InvalidField({ violations: [{ field, description }] });
  return { code: Code.InvalidArgument, message, details: [...details, ...detailsOf(fields, undefined)] };
};
