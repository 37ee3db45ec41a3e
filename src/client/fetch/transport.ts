/**
 * The Connect protocol over `fetch`, for unary calls and server streams: https://connectrpc.com/docs/protocol. It replaces the
 * transport of @connectrpc/connect-web, which always includes the JSON codec and reflection (a seventh of the bundle), does not
 * limit the size of messages, and uses options of `fetch` that some edge runtimes refuse.
 */
import { create, type DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { ByteCollector } from "./bytes.ts";
import { binaryCodec, type Codec, loadJsonCodec } from "./codec.ts";
import { decodeEndStream, errorFromBody, errorFromStatus } from "./connect-errors.ts";
import { EnvelopeDecoder, encodeEnvelope } from "./envelopes.ts";
import { Exchange } from "./exchange.ts";

/** Where a transport sends its calls, and how. */
export interface FetchTransportOptions {
  readonly baseUrl: string;
  readonly format: "binary" | "json";
  /** Largest message to accept. */
  readonly readMaxBytes: number;
  readonly fetch: typeof globalThis.fetch;
}

/** Makes a transport over `fetch`. */
export const createFetchTransport = (options: FetchTransportOptions): Transport => {
  let json: Promise<Codec> | undefined;
  const codecOf = () => (options.format === "binary" ? binaryCodec : (json ??= loadJsonCodec()));
  return {
    unary: async (method, signal, timeoutMs, header: HeaderInit, input) => {
      const exchange = new Exchange(signal, timeoutMs);
      try {
        const codec = await exchange.wait(codecOf);
        const body = codec.encode(method.input, create(method.input, input));
        const type = `application/${codec.name}`;
        const response = await post(options, exchange, method, headersOf(header, type, timeoutMs), body);
        const [responseHeader, trailer] = withoutTrailers(response.headers);
        const isError = response.status !== 200;
        const failure = errorFromStatus(response.status, appended(responseHeader, trailer));
        if (isError && !isOfType(response, "application/json")) throw failure;
        if (!isError) assertType(response, type);
        const bytes = await readWhole(response, exchange, options.readMaxBytes);
        if (isError) throw errorFromBody(bytes, failure);
        const message = codec.decode(method.output, bytes);
        exchange.finish();
        return { stream: false, service: method.parent, method, header: responseHeader, trailer, message };
      } catch (error) {
        exchange.leave();
        throw ConnectError.from(error);
      }
    },

    stream: async (method, signal, timeoutMs, header: HeaderInit, input) => {
      const exchange = new Exchange(signal, timeoutMs);
      try {
        const codec = await exchange.wait(codecOf);
        const only = await exchange.wait(() => onlyMessage(input, method));
        const body = encodeEnvelope(codec.encode(method.input, create(method.input, only)));
        const type = `application/connect+${codec.name}`;
        const response = await post(options, exchange, method, headersOf(header, type, timeoutMs), body);
        if (response.status !== 200) throw errorFromStatus(response.status, response.headers);
        assertType(response, type);
        const trailer = new Headers();
        const message = readMessages(response, exchange, options.readMaxBytes, trailer, (bytes) =>
          codec.decode(method.output, bytes),
        );
        return { stream: true, service: method.parent, method, header: response.headers, trailer, message };
      } catch (error) {
        exchange.leave();
        throw ConnectError.from(error);
      }
    },
  };
};

/** What `Headers` can be made of; Node's types have no name for it. */
type HeaderInit = ConstructorParameters<typeof Headers>[0];

const headersOf = (own: HeaderInit, contentType: string, timeoutMs: number | undefined): Headers => {
  const headers = new Headers(own);
  headers.set("content-type", contentType);
  headers.set("connect-protocol-version", "1");
  if (timeoutMs !== undefined && timeoutMs > 0) headers.set("connect-timeout-ms", String(Math.ceil(timeoutMs)));
  return headers;
};

/**
 * Makes the request. A redirect is an error that names its target: following it would send the request to another server.
 * Edge runtimes refuse `redirect: "error"`, `mode` and `credentials`.
 */
const post = async (
  { fetch, baseUrl }: FetchTransportOptions,
  exchange: Exchange,
  method: DescMethod,
  headers: Headers,
  body: Uint8Array<ArrayBuffer>,
): Promise<Response> => {
  const url = `${baseUrl.replace(/\/$/, "")}/${method.parent.typeName}/${method.name}`;
  const { signal } = exchange;
  const response = await exchange.wait(() => fetch(url, { method: "POST", headers, body, signal, redirect: "manual" }));
  if (response.type !== "opaqueredirect" && (response.status < 300 || response.status > 399)) return response;
  const target = response.headers.get("location") ?? "another address";
  throw new ConnectError(`HTTP 3xx: redirected to ${target}; call that address itself`, Code.Unknown);
};

const typeOf = (response: Response): string | null => response.headers.get("content-type");

const isOfType = (response: Response, type: string): boolean =>
  typeOf(response)
    ?.toLowerCase()
    .replace(/; ?charset=utf-?8$/, "") === type;

const assertType = (response: Response, type: string): void => {
  if (!isOfType(response, type)) throw new ConnectError(`unsupported content type ${typeOf(response)}`, Code.Unknown);
};

/** A unary response has its trailers among its headers, with a prefix. */
const withoutTrailers = (all: Headers): readonly [header: Headers, trailer: Headers] => {
  const [header, trailer] = [new Headers(), new Headers()];
  all.forEach((value, name) =>
    name.startsWith("trailer-") ? trailer.set(name.slice("trailer-".length), value) : header.set(name, value),
  );
  return [header, trailer];
};

const appended = (header: Headers, trailer: Headers): Headers => {
  const both = new Headers(header);
  trailer.forEach((value, name) => both.append(name, value));
  return both;
};

const onlyMessage = async <Input>(messages: AsyncIterable<Input>, method: DescMethod): Promise<Input> => {
  if (method.methodKind === "server_streaming") for await (const message of messages) return message;
  throw new ConnectError(`${method.name} is a client stream, which fetch does not support`, Code.Unimplemented);
};

const readWhole = async (response: Response, exchange: Exchange, maxBytes: number): Promise<Uint8Array> => {
  const collector = new ByteCollector(maxBytes);
  for await (const piece of pieces(response, exchange)) collector.add(piece);
  return collector.bytes;
};

/** The messages of a stream. It must end with the envelope that marks its end, and with nothing after it. */
const readMessages = async function* <Message>(
  response: Response,
  exchange: Exchange,
  maxBytes: number,
  trailer: Headers,
  decode: (bytes: Uint8Array) => Message,
): AsyncGenerator<Message, void, undefined> {
  try {
    const decoder = new EnvelopeDecoder(maxBytes);
    let isEnded = false;
    for await (const piece of pieces(response, exchange)) {
      for (const { flags, data } of decoder.take(piece)) {
        if (isEnded) throw new ConnectError("protocol error: the stream continues after its end", Code.Internal);
        if ((flags & 1) !== 0) throw new ConnectError("protocol error: a message is compressed", Code.Internal);
        if ((flags & 2) === 0) {
          yield decode(data);
          continue;
        }
        isEnded = true;
        const { trailer: received, error } = decodeEndStream(data);
        received.forEach((value, name) => trailer.append(name, value));
        if (error) throw withHeader(error, response.headers);
      }
    }
    if (!isEnded) throw new ConnectError("missing EndStreamResponse", Code.Unknown);
    exchange.finish();
  } finally {
    exchange.leave();
  }
};

const withHeader = (error: ConnectError, header: Headers): ConnectError => {
  header.forEach((value, name) => error.metadata.append(name, value));
  return error;
};

const pieces = async function* ({ body }: Response, exchange: Exchange): AsyncGenerator<Uint8Array, void, undefined> {
  if (body === null) return;
  const reader = exchange.read(body.getReader());
  for (;;) {
    const { done, value } = await exchange.wait(() => reader.read());
    if (done) return;
    yield value;
  }
};
