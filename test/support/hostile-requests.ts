/** Requests that are small to send and large to read, as bytes: to make them takes as long as to read them. */
import { gzipSync } from "node:zlib";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";

import { GenerateRequestSchema } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { DetokenizeRequestSchema, TokenizeRequestSchema } from "../../src/client/gen/mlxd/v1/tokenizer_service_pb.ts";
import { Role } from "../../src/client/gen/mlxd/v1/types_pb.ts";
import { envelope, type RawRequest } from "./raw-http.ts";

export interface HostileRequest {
  readonly what: string;
  readonly http: "1.1" | "2";
  readonly request: RawRequest;
  /** What it may be answered with; empty: a result. */
  readonly reasons: ReadonlyArray<string>;
}

type Task = NonNullable<MessageInitShape<typeof GenerateRequestSchema>["task"]>;

const generate = "/mlxd.v1.GenerationService/Generate";
const tokenizer = (method: string) => `/mlxd.v1.TokenizerService/${method}`;

/** Of about so many megabytes. */
const repeated = (text: string, megabytes: number) => text.repeat(Math.floor((megabytes * 1e6) / text.length));

const json = (what: string, body: string, reasons: ReadonlyArray<string>, path = generate): HostileRequest => ({
  what,
  http: "1.1",
  request: { path, headers: { "content-type": "application/json" }, body: Buffer.from(body) },
  reasons,
});

const binary = (what: string, task: Task, reasons: ReadonlyArray<string>): HostileRequest => {
  const body = Buffer.from(toBinary(GenerateRequestSchema, create(GenerateRequestSchema, { task })));
  return {
    what,
    http: "1.1",
    request: { path: generate, headers: { "content-type": "application/proto" }, body },
    reasons,
  };
};

const messages = (count: number) =>
  Array.from({ length: count }, () => ({
    role: Role.USER,
    content: [{ part: { case: "text" as const, value: "hi" } }],
  }));

const bodyOf = ({ request }: HostileRequest): Buffer => Buffer.from(request.body ?? "");

export const hostileRequests = (): ReadonlyArray<HostileRequest> => {
  const invalid = ["INVALID_FIELD"];
  const malformed = ["MALFORMED_REQUEST"];
  const tooLong = ["CONTEXT_LENGTH_EXCEEDED", "INVALID_FIELD", "MODEL_BROKEN"];
  const chat = (inside: string) => `{"task":{"chat":{"messages":[${inside}]}}}`;
  const message = '{"role":"ROLE_USER","content":[{"text":"hi"}]},';
  const empties = json("a million empty messages", chat(`${repeated("{},", 3.5)}{}`), invalid);
  const options = (values: number) =>
    `{"task":{"chat":{"messages":[${message.slice(0, -1)}],"templateOptions":{"a":[${"0,".repeat(values)}0]}}}}`;
  const manyMessages = binary(
    "binary messages and parts, as many as may be",
    { input: { case: "chat", value: { messages: messages(4096) } } },
    tooLong,
  );
  const labels = Object.fromEntries(Array.from({ length: 200_000 }, (_, index) => [`l${index}`, ""]));
  const ids = Array.from({ length: 262_144 }, (_, index) => index % 250);
  const detokenize = toBinary(DetokenizeRequestSchema, create(DetokenizeRequestSchema, { ids }));
  const text = "ab cd ".repeat(40_000);
  const tokenize = (count: number) =>
    Buffer.from(
      toBinary(
        TokenizeRequestSchema,
        create(TokenizeRequestSchema, { texts: Array.from({ length: count }, () => text), pieces: true }),
      ),
    );
  return [
    empties,
    json("3.9 MB of messages", chat(`${repeated(message, 3.9)}${message.slice(0, -1)}`), invalid),
    json(
      "a message of a million empty parts",
      chat(`{"role":"ROLE_USER","content":[${repeated("{},", 3.5)}{}]}`),
      invalid,
    ),
    json("an unknown field of very many messages", `{"items":[${repeated("{},", 3.5)}{}]}`, malformed),
    json("200,000 labels", JSON.stringify({ task: { prompt: "x", labels } }), invalid),
    json("800,000 template options", options(800_000), invalid),
    json("65,000 template options", options(65_000), ["INVALID_FIELD", "UNSUPPORTED_PARAMETER"]),
    json("a million token ids", `{"task":{"tokens":{"ids":[${"7,".repeat(1_000_000)}7]}}}`, tooLong),
    json(
      "a million token ids that are to be echoed as text",
      `{"task":{"tokens":{"ids":[${"7,".repeat(1_000_000)}7]},"output":{"echoPrompt":true}}}`,
      tooLong,
    ),
    json("a key a hundred thousand times", `{"task":{${'"prompt":7,'.repeat(100_000)}"model":""}}`, malformed),
    json("objects that are nested 200,000 deep", '{"task":'.repeat(200_000), malformed),
    json("four megabytes of backslashes", `{"task":{"prompt":"${repeated("\\\\", 3.9)}"}}`, tooLong),
    binary(
      "binary messages that are empty",
      { input: { case: "chat", value: { messages: Array.from({ length: 1_000_000 }, () => ({})) } } },
      invalid,
    ),
    binary("binary labels", { input: { case: "prompt", value: "x" }, labels }, invalid),
    manyMessages,
    {
      what: "a stream of gRPC with as many",
      http: "2",
      request: {
        path: "/mlxd.v1.GenerationService/StreamGenerate",
        headers: { "content-type": "application/grpc", te: "trailers" },
        body: envelope(bodyOf(manyMessages)),
      },
      reasons: tooLong,
    },
    {
      ...empties,
      what: "a million empty messages, compressed to some kilobytes",
      request: {
        ...empties.request,
        headers: { "content-type": "application/json", "content-encoding": "gzip" },
        body: gzipSync(bodyOf(empties)),
      },
    },
    json("Detokenize of 262,144 ids", JSON.stringify({ ids }), [""], tokenizer("Detokenize")),
    {
      what: "Detokenize of as many in binary",
      http: "1.1",
      request: {
        path: tokenizer("Detokenize"),
        headers: { "content-type": "application/proto" },
        body: Buffer.from(detokenize),
      },
      reasons: [""],
    },
    ...[1, 16].map((count) => ({
      what: `Tokenize of ${count * 240} KB into pieces`,
      http: "1.1" as const,
      request: { path: tokenizer("Tokenize"), headers: { "content-type": "application/proto" }, body: tokenize(count) },
      reasons: count === 1 ? [""] : invalid,
    })),
  ];
};
