/** Messages that no client would send: mutated, nested, compressed, cut, and lying about themselves. */
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";

import { GenerateRequestSchema } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { envelope, type RawRequest, requestHttp1, requestHttp2 } from "../support/raw-http.ts";
import { randomFrom } from "./callers.ts";

const path = "/mlxd.v1.GenerationService/Generate";
const task = {
  model: "demo",
  input: { case: "prompt", value: "one two" },
  sampling: { temperature: 0.5, seed: 3 },
  stop: { maxOutputTokens: 2, stopSequences: ["x"] as string[] },
  labels: { a: "b" },
} as const;
const binary = Buffer.from(toBinary(GenerateRequestSchema, create(GenerateRequestSchema, { task })));
const json =
  '{"task":{"model":"demo","prompt":"one two","sampling":{"temperature":0.5,"seed":3},"stop":{"maxOutputTokens":2}}}';

type Random = () => number;
type Make = (random: Random) => { readonly http: "1.1" | "2"; readonly request: RawRequest };

const post = (type: string, body: Buffer | string, headers: Readonly<Record<string, string>> = {}): RawRequest => ({
  path,
  headers: { "content-type": type, ...headers },
  body,
});
const h1 = (request: RawRequest) => ({ http: "1.1", request }) as const;
const h2 = (request: RawRequest) => ({ http: "2", request }) as const;

/** Some bytes are others, are missing, or are there twice. */
const mutated = (bytes: Buffer, random: Random): Buffer => {
  let result = Buffer.from(bytes);
  for (let count = 1 + Math.floor(random() * 6); count > 0; count--) {
    const at = Math.floor(random() * result.length);
    const kind = random();
    if (kind < 0.6) result[at] = Math.floor(random() * 256);
    else if (kind < 0.8) result = Buffer.concat([result.subarray(0, at), result.subarray(at + 1)]);
    else result = Buffer.concat([result.subarray(0, at), result]);
  }
  return result;
};

const nested = (depth: number, open: string, close: string): string => open.repeat(depth) + close.repeat(depth);

const makers: ReadonlyArray<Make> = [
  (random) => h1(post("application/proto", mutated(binary, random))),
  (random) => h2(post("application/grpc", envelope(mutated(binary, random)), { te: "trailers" })),
  (random) => h1(post("application/json", mutated(Buffer.from(json), random))),
  // Deeper than any reader's stack.
  (random) =>
    h1(post("application/json", `{"task":{"chat":{"messages":${nested(1000 + random() * 50_000, "[", "]")}}}}`)),
  (random) =>
    h1(
      post(
        "application/json",
        `{"task":{"constraint":{"jsonSchema":${nested(1000 + random() * 9000, '{"not":', "}")}}}}`,
      ),
    ),
  // A few kilobytes that are hundreds of megabytes.
  () => h1(post("application/proto", bomb, { "content-encoding": "gzip" })),
  () => h2(post("application/grpc", flagged(1, bomb), { te: "trailers", "grpc-encoding": "gzip" })),
  (random) => h1(post("application/proto", mutated(gzipSync(binary), random), { "content-encoding": "gzip" })),
  // A length that is not that of what follows.
  (random) => h2(post("application/grpc", lengthOf(0xffff_ffff, binary, random), { te: "trailers" })),
  (random) => h2(post("application/grpc", lengthOf(1, binary, random), { te: "trailers" })),
  (random) => h1(post("application/grpc-web+proto", lengthOf(1_000_000, binary, random))),
  // Text that is none.
  () =>
    h1(
      post(
        "application/json",
        Buffer.concat([Buffer.from('{"task":{"prompt":"'), Buffer.of(0xff, 0xfe, 0xc0), Buffer.from('"}}')]),
      ),
    ),
  () => h1(post("application/json", '{"task":{"prompt":"\\ud800"}}')),
  ...["NaN", '"NaN"', '"Infinity"', "-1e999", "1e999", "null", "[]", "{}", '"0x10"', "true"].map(
    (value): Make =>
      () =>
        h1(post("application/json", `{"task":{"prompt":"x","sampling":{"temperature":${value},"topP":${value}}}}`)),
  ),
  // Which one counts?
  () => h1(post("application/json", '{"task":{"prompt":"a","prompt":"b","model":"demo","model":"nobody"}}')),
  () => h1(post("application/json", '{"task":{"prompt":"a","chat":{"messages":[]}}}')),
  () => h1(post("application/json", '{"__proto__":{"task":1},"constructor":{},"task":{"prompt":"a"}}')),
  // Headers.
  (random) => h1(post("application/json", json, { "x-request-id": "i".repeat(random() * 5000) })),
  (random) => h1(post("application/json", json, { "connect-timeout-ms": String(random() * 1e15) })),
  () => h1(post("application/json", json, { "connect-protocol-version": "-7" })),
  (random) =>
    h2(
      post("application/grpc", envelope(binary), { te: "trailers", "grpc-timeout": `${Math.floor(random() * 1e9)}H` }),
    ),
  (random) =>
    h2(post("application/grpc", envelope(binary), { te: "trailers", "x-many-bin": "!".repeat(random() * 3000) })),
  (random) => h1(post(`application/${"json;".repeat(random() * 100)}`, json)),
  () => h1(post("application/json", json, { traceparent: `00-${"f".repeat(32)}-${"0".repeat(16)}-01` })),
  (random) => h1({ ...post("application/json", json), path: `${path}/${"%00".repeat(random() * 300)}` }),
  (random) => h1({ method: "GET", path: `${path}?encoding=json&message=${"%7B".repeat(random() * 3000)}` }),
  (random) =>
    h1({
      ...post("application/json", json),
      method: ["PUT", "DELETE", "PATCH", "TRACE"][Math.floor(random() * 4)] ?? "PUT",
    }),
];

const flagged = (flag: number, bytes: Uint8Array): Buffer => {
  const message = Buffer.from(envelope(bytes));
  message[0] = flag;
  return message;
};

const lengthOf = (length: number, bytes: Uint8Array, random: Random): Buffer => {
  const message = Buffer.from(envelope(mutated(Buffer.from(bytes), random)));
  message.writeUInt32BE(length, 1);
  return message;
};

const bomb = gzipSync(Buffer.alloc(256 * 1024 ** 2));

/** What they were answered with, by HTTP status and gRPC status, and `cut` where the connection was. */
export const sendHostile = async (port: number, count: number, seed: number): Promise<ReadonlyMap<string, number>> => {
  const random = randomFrom(seed);
  const answers = new Map<string, number>();
  const sendOne = async (index: number): Promise<void> => {
    const make = makers[index % makers.length];
    if (make === undefined) return;
    const { http, request } = make(random);
    const send = http === "1.1" ? requestHttp1 : requestHttp2;
    // A length that is never reached is waited for by the service until its own time is over: nobody stays for that.
    const signal = AbortSignal.timeout(5_000);
    const answer = await send(port, { ...request, signal }).catch(() => undefined);
    const told = answer === undefined ? "cut" : `${answer.status}${statusOf(answer)}`;
    answers.set(told, (answers.get(told) ?? 0) + 1);
  };
  let next = 0;
  const sender = async (): Promise<void> => {
    while (next < count) await sendOne(next++);
  };
  await Promise.all(Array.from({ length: 16 }, sender));
  return answers;
};

const statusOf = ({ headers, trailers }: { headers: object; trailers: object }): string => {
  const found = { ...headers, ...trailers } as Readonly<Record<string, string | undefined>>;
  const status = found["grpc-status"];
  return status === undefined ? "" : `/grpc-${status}`;
};
