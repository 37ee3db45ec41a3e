/**
 * A Connect transport over @grpc/grpc-js, for services that want its name resolution, client-side load balancing, service config,
 * health checking and interceptors.
 */
import { create, type DescMessage, type DescMethod, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { type CallOptions, type Client, type ClientReadableStream, Metadata, type ServiceError } from "@grpc/grpc-js";
import { StatusSchema } from "../gen/google/rpc/status_pb.ts";

/** Makes a transport of a grpc-js client, which its owner has to close. It does not support client streams. */
export const createGrpcJsTransport = (client: Client | (() => Client)): Transport => ({
  unary: (method, signal, timeoutMs, header: HeaderInit, input) =>
    new Promise((resolve, reject) => {
      let responseHeader = new Headers();
      let message: MessageShape<typeof method.output> | undefined;
      const call = clientOf(client).makeUnaryRequest(
        pathOf(method),
        writer(method.input),
        reader(method.output),
        create(method.input, input),
        metadataOf(header),
        optionsOf(timeoutMs),
        (error, received) => {
          if (error) reject(errorOf(error, signal, responseHeader));
          else message = received;
        },
      );
      const forget = cancelWith(signal, call);
      call.on("metadata", (metadata) => (responseHeader = headersOf(metadata)));
      call.on("status", ({ metadata }) => {
        forget();
        if (message === undefined) return;
        const trailer = headersOf(metadata);
        resolve({ service: method.parent, method, stream: false, header: responseHeader, trailer, message });
      });
    }),

  stream: async (method, signal, timeoutMs, requestHeader: HeaderInit, input) => {
    const only = await onlyMessage(input, method);
    const call = clientOf(client).makeServerStreamRequest(
      pathOf(method),
      writer(method.input),
      reader(method.output),
      create(method.input, only),
      metadataOf(requestHeader),
      optionsOf(timeoutMs),
    );
    const trailer = new Headers();
    let failure: ServiceError | undefined;
    const forget = cancelWith(signal, call);
    const responseHeader = new Promise<Headers>((resolve) => {
      call.once("metadata", (metadata) => resolve(headersOf(metadata)));
      // The error is reported separately from the messages, possibly before they are read.
      call.on("error", (error) => (failure = error as ServiceError));
      call.once("status", ({ metadata }) => {
        forget();
        headersOf(metadata).forEach((value, name) => trailer.append(name, value));
        resolve(new Headers());
      });
    });
    const decode = () => (failure === undefined ? undefined : errorOf(failure, signal, header));
    const header = await responseHeader;
    return { service: method.parent, method, stream: true, header, trailer, message: messagesOf(call, decode) };
  },
});

/**
 * The messages of a call. Throws its error, if it has one, after the messages before it; `decode` returns undefined if it has none.
 *
 * Neither a generator nor the stream's own iterator, each of which delays every message by further turns of the microtask queue.
 */
const messagesOf = <Message>(
  call: ClientReadableStream<Message>,
  decode: () => ConnectError | undefined,
): AsyncIterable<Message> => {
  let isOver = decode() !== undefined; // it may have failed before its messages are read
  let wake = (): void => {};
  const end = (): void => {
    isOver = true;
    wake();
  };
  call.on("readable", () => wake());
  for (const event of ["end", "error", "close"]) call.once(event, end);
  const next = async (): Promise<IteratorResult<Message, undefined>> => {
    for (;;) {
      const value = call.read() as Message | null;
      if (value !== null) return { done: false, value };
      if (isOver) break;
      await new Promise<void>((resolve) => (wake = resolve));
    }
    const failure = decode();
    if (failure) throw failure;
    return { done: true, value: undefined };
  };
  return { [Symbol.asyncIterator]: () => ({ next }) };
};

const clientOf = (client: Client | (() => Client)): Client => (typeof client === "function" ? client() : client);

const pathOf = (method: DescMethod): string => `/${method.parent.typeName}/${method.name}`;

const writer =
  <Desc extends DescMessage>(schema: Desc) =>
  (message: MessageShape<Desc>): Buffer => {
    const bytes = toBinary(schema, message);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };

const reader =
  <Desc extends DescMessage>(schema: Desc) =>
  (bytes: Buffer): MessageShape<Desc> =>
    fromBinary(schema, bytes);

const onlyMessage = async <Message>(messages: AsyncIterable<Message>, method: DescMethod): Promise<Message> => {
  if (method.methodKind === "server_streaming") for await (const message of messages) return message;
  throw new ConnectError(
    `${method.name} is a client stream, which this transport does not support`,
    Code.Unimplemented,
  );
};

const optionsOf = (timeoutMs: number | undefined): CallOptions =>
  timeoutMs === undefined || timeoutMs <= 0 ? {} : { deadline: Date.now() + timeoutMs };

/** Cancels the call when the signal is aborted; returns a function that removes the listener. */
const cancelWith = (signal: AbortSignal | undefined, call: { readonly cancel: () => void }): (() => void) => {
  const cancel = (): void => call.cancel();
  if (signal?.aborted) cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  return () => signal?.removeEventListener("abort", cancel);
};

/** What `Headers` can be made of; Node's types have no name for it. */
type HeaderInit = ConstructorParameters<typeof Headers>[0];

/** Values of names that end in `-bin` are bytes, which are base64 in HTTP headers. */
const isBinary = (name: string): boolean => name.endsWith("-bin");

const metadataOf = (header: HeaderInit): Metadata => {
  const metadata = new Metadata();
  new Headers(header).forEach((value, name) => {
    metadata.add(name, isBinary(name) ? Buffer.from(value, "base64") : value);
  });
  return metadata;
};

const headersOf = (metadata: Metadata): Headers => {
  const headers = new Headers();
  for (const [name, values] of Object.entries(metadata.toJSON())) {
    for (const value of values) headers.append(name, typeof value === "string" ? value : value.toString("base64"));
  }
  return headers;
};

/** What grpc-js reports if a connection broke during a call. */
const broken = /^(Received RST_STREAM with code (?!3)|Connection dropped|Call ended without gRPC status)/;

const errorOf = (error: unknown, signal: AbortSignal | undefined, header: Headers): ConnectError => {
  if (signal?.aborted) return ConnectError.from(signal.reason, Code.Canceled);
  if (!isServiceError(error)) return ConnectError.from(error);
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  const status = typeof bytes === "object" ? fromBinary(StatusSchema, bytes) : undefined;
  // If it cannot decompress a message, it has no details.
  const details: string | undefined = error.details;
  const message = status?.message ?? problemOf(details ?? "a message that could not be read", header);
  const code = broken.test(details ?? "") ? Code.Unavailable : (error.code as number as Code); // the same numbers
  // For HTTP errors of the server, the cause would be mistaken for a system error.
  const cause = /^(HTTP|unsupported|protocol error)/.test(message) ? undefined : error;
  const decoded = new ConnectError(message, code, headersOf(error.metadata), undefined, cause);
  decoded.details = (status?.details ?? []).map(({ typeUrl, value }) => ({
    type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
    value,
  }));
  return decoded;
};

/** The same message as that of the other transports. */
const problemOf = (details: string, header: Headers): string => {
  const contentType = header.get("content-type") ?? "application/grpc";
  if (!contentType.startsWith("application/grpc")) return `unsupported content type ${contentType}`;
  if (/^(Response message parsing error|a message that could not)/.test(details)) return `protocol error: ${details}`;
  return readable(details.replace(/^Received HTTP status code (\d+)$/, "HTTP $1"));
};

/** grpc-js decodes a status message with decodeURI, which leaves reserved characters encoded. */
const readable = (details: string): string =>
  details.replaceAll(/%(?:3B|2F|3F|3A|40|26|3D|2B|24|2C|23)/gi, decodeURIComponent);

const isServiceError = (error: unknown): error is ServiceError =>
  error instanceof Error && "code" in error && "details" in error && "metadata" in error;
