/** A receiver of traces as collectors are: OTLP over HTTP, in protobuf, of which it reads what tests look at. */
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a root. */
  readonly parentSpanId: string;
  readonly name: string;
  /** Epoch milliseconds. */
  readonly from: number;
  readonly to: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
}

export interface OtlpReceiver extends AsyncDisposable {
  readonly url: string;
  readonly spans: ReadonlyArray<ReceivedSpan>;
  /** Everything that came, as text: to look for what must not be in it. */
  readonly text: () => string;
  /** Resolves once a span is there that matches. */
  readonly until: (matches: (span: ReceivedSpan) => boolean) => Promise<ReceivedSpan>;
}

export const startOtlpReceiver = async (): Promise<OtlpReceiver> => {
  const spans: ReceivedSpan[] = [];
  const bodies: Buffer[] = [];
  let heard = (): void => {};
  const server = createServer((request, response) => {
    void (async () => {
      const body = await bodyOf(request);
      if (request.method !== "POST" || request.url !== "/v1/traces") response.statusCode = 404;
      else {
        bodies.push(body);
        spans.push(...spansOf(body));
      }
      response.end();
      heard();
    })();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    text: () => bodies.map((body) => body.toString("latin1")).join("\n"),
    until: async (matches) => {
      for (;;) {
        const found = spans.find(matches);
        if (found !== undefined) return found;
        await new Promise<void>((resolve) => (heard = resolve));
      }
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
};

const bodyOf = async (request: IncomingMessage): Promise<Buffer> => {
  const body = await buffer(request);
  return request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
};

/** https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto */
const spansOf = (body: Uint8Array): ReadonlyArray<ReceivedSpan> =>
  messagesIn(body, 1) // ResourceSpans
    .flatMap((resource) => messagesIn(resource, 2)) // ScopeSpans
    .flatMap((scope) => messagesIn(scope, 2))
    .map(spanOf);

const spanOf = (bytes: Uint8Array): ReceivedSpan => {
  const span = fieldsOf(bytes);
  const hex = (field: number) => Buffer.from((span.get(field)?.[0] as Uint8Array | undefined) ?? []).toString("hex");
  const ms = (field: number) => Number(span.get(field)?.[0] ?? 0n) / 1e6;
  return {
    traceId: hex(1),
    spanId: hex(2),
    parentSpanId: hex(4),
    name: textOf(span.get(5)?.[0]),
    from: ms(7),
    to: ms(8),
    attributes: Object.fromEntries(messagesIn(bytes, 9).map(attributeOf)),
  };
};

const attributeOf = (bytes: Uint8Array): readonly [string, string | number | boolean] => {
  const fields = fieldsOf(bytes);
  const value = fieldsOf((fields.get(2)?.[0] as Uint8Array | undefined) ?? new Uint8Array());
  const [text] = value.get(1) ?? [];
  const [flag] = value.get(2) ?? [];
  const [integer] = value.get(3) ?? [];
  const [double] = value.get(4) ?? [];
  if (text !== undefined) return [textOf(fields.get(1)?.[0]), textOf(text)];
  if (flag !== undefined) return [textOf(fields.get(1)?.[0]), flag === 1n];
  const number = integer === undefined ? doubleOf(double as bigint | undefined) : Number(integer);
  return [textOf(fields.get(1)?.[0]), number];
};

const doubleOf = (bits = 0n): number => {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
};

const textOf = (value: unknown): string => new TextDecoder().decode(value as Uint8Array | undefined);

const messagesIn = (bytes: Uint8Array, field: number): ReadonlyArray<Uint8Array> =>
  (fieldsOf(bytes).get(field) ?? []) as ReadonlyArray<Uint8Array>;

/** A message without its schema: bytes of what has a length, else a number. */
const fieldsOf = (bytes: Uint8Array): ReadonlyMap<number, ReadonlyArray<Uint8Array | bigint>> => {
  const fields = new Map<number, Array<Uint8Array | bigint>>();
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    const values = fields.get(field) ?? [];
    fields.set(field, values);
    if (type === WireType.LengthDelimited) values.push(reader.bytes());
    else if (type === WireType.Bit64) values.push(BigInt(reader.fixed64()));
    else if (type === WireType.Varint) values.push(BigInt(reader.uint64()));
    else reader.skip(type, field);
  }
  return fields;
};
