import type { Transport } from "@connectrpc/connect";
import { invalidField, MlxdError } from "./errors.ts";

/** Header names and values. */
export type HeaderValues = Headers | Readonly<Record<string, string>>;

/** The headers of every call, or what makes them: asked before each attempt, so that a token may change. */
export type HeaderSource = HeaderValues | (() => HeaderValues | Promise<HeaderValues>);

/** Headers of these values; refuses what HTTP cannot send. */
export const createHeaders = (values: HeaderValues = {}): Headers => {
  try {
    return new Headers(values);
  } catch (error) {
    throw invalidField("headers", error instanceof Error ? error.message : String(error));
  }
};

/** The same transport with these headers on every call; a call's own headers go before them. */
export const withHeaders = (transport: Transport, source: HeaderSource | undefined): Transport => {
  if (source === undefined) return transport;
  const make = typeof source === "function" ? source : createHeaders(source); // what is fixed is checked at once
  const merge = async (own: ConstructorParameters<typeof Headers>[0]): Promise<Headers> => {
    const headers = createHeaders(typeof make === "function" ? await made(make) : make);
    new Headers(own).forEach((value, name) => headers.set(name, value));
    return headers;
  };
  return {
    unary: async (method, signal, timeoutMs, headers, ...rest) =>
      transport.unary(method, signal, timeoutMs, await merge(headers), ...rest),
    stream: async (method, signal, timeoutMs, headers, ...rest) =>
      transport.stream(method, signal, timeoutMs, await merge(headers), ...rest),
  };
};

const made = async (make: () => HeaderValues | Promise<HeaderValues>): Promise<HeaderValues> => {
  try {
    return await make();
  } catch (cause) {
    // As it is, it would look like a failure of the transport.
    const message = `the client's headers could not be made: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new MlxdError({ code: "UNKNOWN", reason: "UNKNOWN", message, cause });
  }
};
