import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { checkList, checkObject, show } from "./check.ts";
import { invalidField, MlxdError } from "./errors.ts";

/** Header names and values. */
export type HeaderValues = Headers | Readonly<Record<string, string>>;

/** The headers of every call, or a function that returns them; it is called before each attempt, so that a token can change. */
export type HeaderSource = HeaderValues | (() => HeaderValues | Promise<HeaderValues>);

/** Headers that HTTP sets itself or that belong to one connection. If a caller set them, they would break the call or get lost. */
const reserved = new Set(
  "connection content-length expect host http2-settings keep-alive proxy-connection te trailer transfer-encoding upgrade".split(
    " ",
  ),
);

/** Makes headers; refuses what HTTP cannot send. Errors contain no value, since it may be a secret. */
export const createHeaders = (values: unknown = {}): Headers => {
  const headers = new Headers();
  for (const [name, value] of entriesOf(values)) {
    if (typeof name !== "string") throw invalidField("headers", `${show(name)} is not the name of a header`);
    if (typeof value !== "string") throw invalidField(`headers.${name}`, `${typeof value} is not a string`);
    if (reserved.has(name.toLowerCase())) throw invalidField(`headers.${name}`, "HTTP sets this header by itself");
    try {
      headers.append(name, value);
    } catch {
      throw invalidField(`headers.${name}`, "HTTP cannot send a header of this name or with this value");
    }
  }
  return headers;
};

/** The pairs of an object, or of an iterable of pairs: `Headers`, also of another realm or library, and maps. */
const entriesOf = (values: unknown): readonly (readonly [unknown, unknown])[] =>
  typeof values === "object" && values !== null && Symbol.iterator in values
    ? checkList(values, "headers").map((pair, index): [unknown, unknown] => {
        const [name, value] = checkList(pair, `headers[${index}]`);
        return [name, value];
      })
    : Object.entries(checkObject(values, "headers"));

/** The same transport with these headers on every call; headers of the call itself take precedence. */
export const withHeaders = (transport: Transport, source: HeaderSource | undefined): Transport => {
  if (source === undefined) return transport;
  const make = typeof source === "function" ? source : createHeaders(source); // fixed headers are checked immediately
  const merge = async (own: ConstructorParameters<typeof Headers>[0]): Promise<Headers> => {
    const headers = createHeaders(typeof make === "function" ? await made(make) : make);
    new Headers(own).forEach((value, name) => headers.set(name, value));
    return headers;
  };
  return {
    unary: async (method, signal, timeoutMs, headers, ...rest) =>
      transport.unary(method, signal, timeoutMs, await inTime(merge(headers), signal, timeoutMs), ...rest),
    stream: async (method, signal, timeoutMs, headers, ...rest) =>
      transport.stream(method, signal, timeoutMs, await inTime(merge(headers), signal, timeoutMs), ...rest),
  };
};

/** Stops waiting for the headers at the deadline of the call, and when its caller has left. */
const inTime = async <T>(
  made: Promise<T>,
  signal: AbortSignal | undefined,
  timeoutMs: number | undefined,
): Promise<T> => {
  let giveUp: (error: unknown) => void = () => {};
  const over = new Promise<never>((_, reject) => (giveUp = reject));
  const leave = (): void => giveUp(signal?.reason);
  const expire = (): void => giveUp(new ConnectError("the call's headers took too long", Code.DeadlineExceeded));
  const timer = timeoutMs === undefined || timeoutMs <= 0 ? undefined : setTimeout(expire, timeoutMs);
  signal?.addEventListener("abort", leave, { once: true });
  if (signal?.aborted) leave();
  try {
    return await Promise.race([made, over]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", leave);
  }
};

const made = async (make: () => HeaderValues | Promise<HeaderValues>): Promise<HeaderValues> => {
  try {
    return await make();
  } catch (cause) {
    if (cause instanceof MlxdError) throw cause;
    // Unconverted, it would look like a failure of the transport.
    const message = `the function in the option headers failed: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new MlxdError({ code: "UNKNOWN", reason: "UNKNOWN", message, cause });
  }
};
