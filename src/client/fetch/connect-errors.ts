/** Errors as the Connect protocol sends them: https://connectrpc.com/docs/protocol#error-end-stream */
import { base64Decode } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";

/** The error for an HTTP status, for a response without an error of its own. */
export const errorFromStatus = (status: number, headers: Headers): ConnectError =>
  new ConnectError(`HTTP ${status}`, codeOfStatus[status] ?? Code.Unknown, headers);

const codeOfStatus: Readonly<Record<number, Code>> = {
  400: Code.Internal,
  401: Code.Unauthenticated,
  403: Code.PermissionDenied,
  404: Code.Unimplemented,
  429: Code.Unavailable,
  502: Code.Unavailable,
  503: Code.Unavailable,
  504: Code.Unavailable,
};

/** The error in the body of a unary response; `fallback` if there is none. */
export const errorFromBody = (bytes: Uint8Array, fallback: ConnectError): ConnectError => {
  try {
    return decodeError(JSON.parse(new TextDecoder().decode(bytes)), fallback.code, fallback.metadata);
  } catch {
    return fallback;
  }
};

/** Reads the last envelope of a stream: its trailers, and its error if there is one. */
export const decodeEndStream = (bytes: Uint8Array): { readonly trailer: Headers; readonly error?: ConnectError } => {
  try {
    const { metadata = {}, error } = asObject(JSON.parse(new TextDecoder().decode(bytes)));
    const trailer = new Headers();
    for (const [name, values] of Object.entries(asObject(metadata))) {
      if (!Array.isArray(values)) throw new TypeError(`${name} is not an array`);
      for (const value of values) trailer.append(name, asText(value));
    }
    return error === undefined || error === null
      ? { trailer }
      : { trailer, error: decodeError(error, Code.Unknown, trailer) };
  } catch {
    throw new ConnectError("protocol error: the end of the stream cannot be read", Code.Internal);
  }
};

/** Throws if it is not an error of the protocol. */
const decodeError = (json: unknown, fallback: Code, metadata: Headers): ConnectError => {
  const { code, message = "", details = [] } = asObject(json);
  const error = new ConnectError(asText(message), codeFromName(code) ?? fallback, metadata);
  if (!Array.isArray(details)) throw new TypeError("details is not an array");
  error.details = details.map(asObject).map(({ type, value, debug }) => ({
    type: asText(type),
    value: base64Decode(asText(value)),
    debug: debug as never, // JSON, which is not read here
  }));
  return error;
};

/** `permission_denied` is `PermissionDenied` in Connect. */
const codeFromName = (name: unknown): Code | undefined =>
  typeof name === "string"
    ? Object.values(Code).find(
        (code): code is Code => typeof code === "number" && Code[code].toLowerCase() === name.replaceAll("_", ""),
      )
    : undefined;

const asObject = (value: unknown): Readonly<Record<string, unknown>> => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new TypeError("not an object");
  return value as Readonly<Record<string, unknown>>;
};

const asText = (value: unknown): string => {
  if (typeof value !== "string") throw new TypeError("not a string");
  return value;
};
