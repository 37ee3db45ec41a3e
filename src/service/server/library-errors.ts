/**
 * The errors that Connect raises itself, before a handler is reached: a message that cannot be read, is too large, a
 * deadline that is no deadline. They come without ErrorInfo, a malformed protobuf message as INTERNAL, and for JSON
 * with a piece of what was received.
 *
 * No interceptor sees them. But all of Connect's protocol handlers abort the call's signal with the error right
 * before they write it, and the listeners of an abort run at once: that is where it can still be completed.
 */
import { Code, ConnectError } from "@connectrpc/connect";

import type { ErrorReason } from "../../client/gen/mlxd/v1/error_details_pb.ts";
import { errorInfo, maxMessageBytes, truncateUtf8 } from "../rpc/error-details.ts";

export const explainLibraryErrors = (signal: AbortSignal): void => {
  const complete = () => {
    const error: unknown = signal.reason;
    if (!(error instanceof ConnectError) || error.details.length > 0) return;
    const explained = explain(error);
    if (explained === undefined) return;
    const { code, message, reason } = explained;
    const rawMessage = truncateUtf8(message, maxMessageBytes);
    // Read-only for the type, not for the object: ConnectError has no other way to change its mind.
    Object.assign(error, { code, rawMessage, message: `[${Code[code]}] ${rawMessage}` });
    error.details.push(errorInfo(reason, {}));
  };
  signal.addEventListener("abort", complete, { once: true });
};

interface Explained {
  readonly code: Code;
  readonly message: string;
  readonly reason: keyof typeof ErrorReason;
}

const malformed = (message: string): Explained => ({
  code: Code.InvalidArgument,
  message,
  reason: "MALFORMED_REQUEST",
});

const explain = ({ code, rawMessage }: ConnectError): Explained | undefined => {
  if (code === Code.ResourceExhausted) return { code, message: rawMessage, reason: "MESSAGE_TOO_LARGE" };
  if (code === Code.Internal && rawMessage.startsWith("parse binary:")) {
    return malformed("the request is no well-formed protobuf message");
  }
  if (code !== Code.InvalidArgument && code !== Code.Unimplemented) return undefined;
  if (rawMessage.startsWith("cannot decode ")) return malformed(describeJsonError(rawMessage));
  return { code, message: rawMessage, reason: "MALFORMED_REQUEST" };
};

/** Names the place and leaves out the value that was found there: it may be a prompt. */
const describeJsonError = (text: string): string => {
  const [, kind, name, detail = ""] =
    /^cannot decode (field|message|enum|oneof) (\S+) from JSON(?:: (.*))?$/s.exec(text) ?? [];
  if (kind === undefined || name === undefined) return "the request cannot be read as JSON";
  const unknownKey = /^key "([^"]{1,128})" is unknown$/.exec(detail)?.[1];
  if (unknownKey !== undefined) return `${name} has no field "${unknownKey}"`;
  const expected = /^(expected [\w ()]{1,64}?)(?:,|:|$)/.exec(detail)?.[1];
  const [, one, other] = /^oneof set multiple times by (\w+) and (\w+)$/.exec(detail) ?? [];
  if (one !== undefined && other !== undefined) return `${name} can be only one of ${one} and ${other}`;
  if (kind === "message" && expected === undefined) return `the request is no JSON of ${name}`;
  return `the JSON of ${kind} ${name} cannot be read${expected === undefined ? "" : `: ${expected}`}`;
};
