import { once } from "node:events";
import { connect } from "node:http2";
import { gzipSync } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AnySchema, anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { assert, afterAll, beforeAll, describe, it } from "vitest";

import { BadRequestSchema, ErrorInfoSchema } from "../../src/client/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../src/client/gen/google/rpc/status_pb.ts";
import { GenerateRequestSchema } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { envelope, type RawResponse, requestHttp1, requestHttp2 } from "../support/raw-http.ts";
import { assertMatches } from "../support/assert-matches.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";

interface Seen {
  readonly code: number;
  readonly message: string;
  readonly reason: string | undefined;
}

/** How a protocol sends bytes as a message, and how it tells an error. */
interface Protocol {
  readonly name: string;
  readonly send: (port: number, method: string, message: Uint8Array, headers?: Record<string, string>) => Promise<Seen>;
}

const codeNames: Readonly<Record<string, Code>> = {
  invalid_argument: Code.InvalidArgument,
  resource_exhausted: Code.ResourceExhausted,
  unimplemented: Code.Unimplemented,
  internal: Code.Internal,
};

const seenInStatus = (headers: Readonly<Record<string, unknown>>): Seen => {
  const encoded = headers["grpc-status-details-bin"];
  const status = typeof encoded === "string" ? fromBinary(StatusSchema, Buffer.from(encoded, "base64")) : undefined;
  const info = status?.details[0] && anyUnpack(status.details[0], ErrorInfoSchema);
  const message = decodeURIComponent(String(headers["grpc-message"]));
  return { code: Number(headers["grpc-status"]), message, reason: info?.reason };
};

interface ConnectErrorJson {
  readonly code: string;
  readonly message: string;
  readonly details?: ReadonlyArray<{ readonly type: string; readonly value: string }>;
}

const seenInJson = ({ code, message, details }: ConnectErrorJson): Seen => {
  const [first] = details ?? [];
  const any = first && create(AnySchema, { typeUrl: `/${first.type}`, value: Buffer.from(first.value, "base64") });
  return { code: codeNames[code] ?? -1, message, reason: any && anyUnpack(any, ErrorInfoSchema)?.reason };
};

const lastEnvelope = ({ body }: RawResponse): Buffer => {
  let rest = body;
  for (;;) {
    const end = 5 + rest.readUInt32BE(1);
    if (end >= rest.length) return rest.subarray(5);
    rest = rest.subarray(end);
  }
};

const grpcWebTrailers = (response: RawResponse): Record<string, string> =>
  Object.fromEntries(
    lastEnvelope(response)
      .toString()
      .trim()
      .split("\r\n")
      .map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
  );

const path = (method: string) => `/mlxd.v1.GenerationService/${method}`;

const protocols: ReadonlyArray<Protocol> = [
  {
    name: "gRPC",
    send: async (port, method, message, headers) => {
      const all = { "content-type": "application/grpc+proto", te: "trailers", ...headers };
      const response = await requestHttp2(port, { path: path(method), headers: all, body: envelope(message) });
      return seenInStatus({ ...response.headers, ...response.trailers });
    },
  },
  {
    name: "gRPC-Web",
    send: async (port, method, message, headers) => {
      const all = { "content-type": "application/grpc-web+proto", ...headers };
      const response = await requestHttp1(port, { path: path(method), headers: all, body: envelope(message) });
      return seenInStatus("grpc-status" in response.headers ? response.headers : grpcWebTrailers(response));
    },
  },
  {
    name: "Connect",
    send: async (port, method, message, headers) => {
      const isStream = method.startsWith("Stream");
      const contentType = isStream ? "application/connect+proto" : "application/proto";
      const body = isStream ? envelope(message) : Buffer.from(message);
      const request = { path: path(method), headers: { "content-type": contentType, ...headers }, body };
      const response = await requestHttp1(port, request);
      if (!isStream) return seenInJson(JSON.parse(response.body.toString()) as ConnectErrorJson);
      const end = JSON.parse(lastEnvelope(response).toString()) as { error: ConnectErrorJson };
      return seenInJson(end.error);
    },
  },
];

const methods = ["Generate", "StreamGenerate"];
const truncated = toBinary(GenerateRequestSchema, create(GenerateRequestSchema, { task: { model: "demo" } })).slice(
  0,
  -2,
);

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

describe.each(protocols)("over $name", ({ send }) => {
  it.each(methods)("%s refuses a truncated message as the caller's fault", async (method) => {
    assert.deepStrictEqual(await send(server.port, method, truncated), {
      code: Code.InvalidArgument,
      message: "the request is no well-formed protobuf message",
      reason: "MALFORMED_REQUEST",
    });
  });

  it.each(methods)("%s refuses a message of 5 MiB by its limit", async (method) => {
    const { code, message, reason } = await send(server.port, method, new Uint8Array(5 * 1024 * 1024));
    assert.deepStrictEqual({ code, reason }, { code: Code.ResourceExhausted, reason: "MESSAGE_TOO_LARGE" });
    assert.include(message, "4194304");
  });

  it.each(methods)("%s refuses a deadline that is none", async (method) => {
    const headers = { "grpc-timeout": "soon", "connect-timeout-ms": "soon" };
    const { code, message, reason } = await send(server.port, method, new Uint8Array(), headers);
    assert.deepStrictEqual({ code, reason }, { code: Code.InvalidArgument, reason: "MALFORMED_REQUEST" });
    assert.include(message, "soon");
  });

  it.each(methods)("%s refuses a compression that it does not have", async (method) => {
    const headers = { "grpc-encoding": "zstd", "connect-content-encoding": "zstd", "content-encoding": "zstd" };
    const { code, reason } = await send(server.port, method, truncated, headers);
    assert.deepStrictEqual({ code, reason }, { code: Code.Unimplemented, reason: "MALFORMED_REQUEST" });
  });

  it("names a field that the API does not have", async () => {
    // GenerateRequest.task (1) with field 99, a varint.
    const message = Buffer.from([0x0a, 0x06, 0x22, 0x01, 0x78, 0x98, 0x06, 0x01]);
    assertMatches(await send(server.port, "Generate", message), {
      code: Code.InvalidArgument,
      reason: "UNSUPPORTED_PARAMETER",
      message: /task\.#99/,
    });
  });
});

it.each(methods)("%s names what is wrong with a frame that is compressed in no known way", async (method) => {
  const headers = { "content-type": "application/grpc-web+proto" };
  const body = Buffer.from(envelope(truncated));
  body[0] = 1;
  const response = await requestHttp1(server.port, { path: path(method), headers, body });
  assert.deepStrictEqual(
    seenInStatus("grpc-status" in response.headers ? response.headers : grpcWebTrailers(response)),
    {
      code: Code.Internal,
      message: "a frame is marked as compressed, but no header names an encoding",
      reason: "MALFORMED_REQUEST",
    },
  );
});

describe("JSON", () => {
  const post = async (body: string) => {
    const headers = { "content-type": "application/json" };
    const response = await requestHttp1(server.port, { path: path("Generate"), headers, body });
    return { status: response.status, ...seenInJson(JSON.parse(response.body.toString()) as ConnectErrorJson) };
  };

  const message = "task.chat.messages[1]";

  it.each([
    ["text that is no JSON", "my secret prompt", "the request is not JSON: a value is missing, at line 1, column 1"],
    ["nothing", "", "the request is not JSON: it ends too early, at line 1, column 1"],
    [
      "a broken end",
      '{"task":{"prompt":"my secret prompt"',
      "the request is not JSON: it ends too early, at line 1, column 37",
    ],
    [
      "a comma at the end",
      '{"task":\n  {"prompt":"my secret prompt",}}',
      'the request is not JSON: there is a comma before "}", at line 2, column 32',
    ],
    [
      "something behind the end",
      '{"task":{"prompt":"a"}} my secret prompt',
      "the request is not JSON: there is something behind the end of the JSON, at line 1, column 25",
    ],
    ["a list", "[]", "it is a list; it must be an object"],
    [
      "a key that is there twice",
      '{"task":{"prompt":"a","prompt":"my secret prompt"}}',
      "task.prompt: it is there twice",
    ],
    [
      "a key by two of its names",
      '{"task":{"prompt":"a","sampling":{"topP":1,"top_p":1}}}',
      "task.sampling.top_p: it is there twice",
    ],
    ["a text for a message", '{"task":"my secret prompt"}', "task: it is a text; it must be an object"],
    [
      "a text for a number",
      '{"task":{"prompt":"a","sampling":{"temperature":"my secret prompt"}}}',
      "task.sampling.temperature: it is a text; it must be a number",
    ],
    [
      "a fraction for a whole number",
      '{"task":{"prompt":"a","sampling":{"seed":1.5}}}',
      "task.sampling.seed: 1.5 is not allowed; it must be a whole number from 0 to 4294967295",
    ],
    [
      "a whole number over its type's bound",
      '{"task":{"prompt":"a","sampling":{"seed":4294967296}}}',
      "task.sampling.seed: 4294967296 is not allowed; it must be a whole number from 0 to 4294967295",
    ],
    [
      "a number among texts",
      '{"task":{"prompt":"a","stop":{"stopSequences":["a",7]}}}',
      "task.stop.stop_sequences[1]: 7 is not allowed; it must be a text",
    ],
    [
      "a duration that is none",
      '{"task":{"prompt":"a","stop":{"timeBudget":"my secret prompt"}}}',
      'task.stop.time_budget: it is a text; it must be a duration such as "1.5s"',
    ],
    [
      "a duration with more decimals than a duration has",
      '{"task":{"prompt":"a","stop":{"timeBudget":"1.0000000001s"}}}',
      'task.stop.time_budget: "1.0000000001s" is not allowed; it must be a duration such as "1.5s", of at most 315576000000s and with at most 9 decimals',
    ],
    [
      "a duration longer than any",
      '{"task":{"prompt":"a","stop":{"timeBudget":"-999999999999999s"}}}',
      'task.stop.time_budget: "-999999999999999s" is not allowed; it must be a duration such as "1.5s", of at most 315576000000s and with at most 9 decimals',
    ],
    [
      "half of a surrogate pair",
      '{"task":{"prompt":"\\ud800"}}',
      "task.prompt: it has half of a surrogate pair; it must be well-formed text",
    ],
    ["two inputs", '{"task":{"prompt":"a","chat":{}}}', "task.input: only one of prompt and chat can be set"],
    [
      "an unknown role, by its place and with what there is",
      '{"task":{"chat":{"messages":[{"role":"ROLE_USER"},{"role":"user"}]}}}',
      `${message}.role: "user" is not allowed; it must be one of ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL, ROLE_DEVELOPER`,
    ],
    [
      "labels that are no map of texts",
      '{"task":{"prompt":"a","labels":{"a":1}}}',
      'task.labels["a"]: 1 is not allowed; it must be a text',
    ],
    [
      "half of a surrogate pair in the name of a label",
      '{"task":{"prompt":"a","labels":{"b":"c","\\ud800":"d"}}}',
      "task.labels: one of its names has half of a surrogate pair",
    ],
    [
      "a list of labels",
      '{"task":{"prompt":"a","labels":["a"]}}',
      "task.labels: it is a list; it must be an object of names and values",
    ],
    [
      "what is nested without end",
      `{"task":${"[".repeat(5000)}`,
      "the request is not JSON: it is nested more than 128 deep, at line 1, column 136",
    ],
  ])("refuses %s without repeating it", async (_what, body, message) => {
    assert.deepStrictEqual(await post(body), {
      status: 400,
      code: Code.InvalidArgument,
      message,
      reason: "MALFORMED_REQUEST",
    });
  });

  it("refuses a misspelt option and tells which there are", async () => {
    const { message } = await post('{"task":{"prompt":"a","sampling":{"temprature":1}}}');
    assert.match(message, /^task.sampling.temprature: there is no such field; there are temperature, topP, /);
  });

  it("names the field in BadRequest as well", async () => {
    const headers = { "content-type": "application/json" };
    const body = '{"task":{"sampling":{"seed":-1}}}';
    const response = await requestHttp1(server.port, { path: path("Generate"), headers, body });
    const { details } = JSON.parse(response.body.toString()) as ConnectErrorJson;
    const detail = details?.find(({ type }) => type === "google.rpc.BadRequest");
    const { fieldViolations } = fromBinary(BadRequestSchema, Buffer.from(detail?.value ?? "", "base64"));
    assert.deepStrictEqual(
      fieldViolations.map(({ field }) => field),
      ["task.sampling.seed"],
    );
  });

  it.each(["application/json", "application/grpc-web+json", "application/connect+json"])(
    "refuses Latin-1 as %s, of which a model would read something else",
    async (contentType) => {
      const text = Buffer.concat([Buffer.from('{"task":{"prompt":"caf'), Buffer.of(0xe9), Buffer.from('"}}')]);
      const method = contentType === "application/json" ? "Generate" : "StreamGenerate";
      const body = contentType === "application/json" ? text : envelope(text);
      const headers = { "content-type": contentType };
      const response = await requestHttp1(server.port, { path: path(method), headers, body });
      const told = `${JSON.stringify(response.headers)} ${response.body.toString()}`;
      assert.include(told.replaceAll("%20", " "), "the request is not in UTF-8");
    },
  );

  it("tells the place in a long list, and nothing of what stands there", async () => {
    const ids = JSON.stringify(Array.from({ length: 500_000 }, () => 1));
    const { status, message } = await post(`{"task":{"tokens":{"ids":${ids.slice(0, -1)},"my secret prompt"]}}}`);
    assert.strictEqual(status, 400);
    assert.strictEqual(
      message,
      "task.tokens.ids[500000]: it is a text; it must be a whole number from 0 to 4294967295",
    );
  });

  it("explains each of many at once by its own text", async () => {
    const messages = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const { message } = await post(`{"task":{"prompt":"a","sampling":{"seed":${index}.5}}}`);
        return message;
      }),
    );
    assertMatches(
      messages,
      messages.map((_, index) => new RegExp(RegExp.escape(`task.sampling.seed: ${index}.5 is`))),
    );
  });

  it("reads NaN, and refuses it as a temperature", async () => {
    const { message } = await post('{"task":{"prompt":"a","sampling":{"temperature":"NaN"}}}');
    assert.strictEqual(message, "task.sampling.temperature: NaN is out of range; it must be between 0 and 2");
  });
});

describe("oversize", () => {
  it("refuses a claimed 100 MiB before it is sent", async () => {
    const headers = { "content-type": "application/grpc", te: "trailers" };
    const body = envelope(new Uint8Array(10), 100 * 1024 * 1024);
    const { trailers, headers: head } = await requestHttp2(server.port, { path: path("Generate"), headers, body });
    assertMatches(seenInStatus({ ...head, ...trailers }), { code: Code.ResourceExhausted });
  });

  it("refuses a query whose message cannot be decompressed", async () => {
    const message = gzipSync(Buffer.from("{}")).subarray(0, -9).toString("base64url");
    const path = `/mlxd.v1.ServerService/GetServerInfo?encoding=json&compression=gzip&base64=1&message=${message}`;
    const { status, body } = await requestHttp1(server.port, { method: "GET", path });
    assert.strictEqual(status, 400, body.toString());
    assert.include(body.toString(), '"code":"invalid_argument"');
    assert.include(body.toString(), "google.rpc.ErrorInfo");
  });

  it("refuses what would decompress to 100 MiB", async () => {
    const body = gzipSync(Buffer.alloc(100 * 1024 * 1024));
    const headers = { "content-type": "application/proto", "content-encoding": "gzip" };
    const response = await requestHttp1(server.port, { path: path("Generate"), headers, body });
    assertMatches(seenInJson(JSON.parse(response.body.toString()) as ConnectErrorJson), {
      code: Code.ResourceExhausted,
      reason: "MESSAGE_TOO_LARGE",
    });
  });
});

it("refuses a lone surrogate, which is no text", async () => {
  const headers = { "content-type": "application/grpc+json", te: "trailers" };
  const body = envelope(Buffer.from('{"model":"\\ud800"}'));
  const path = "/mlxd.v1.ModelService/GetModel";
  const { trailers, headers: head } = await requestHttp2(server.port, { path, headers, body });
  assertMatches(seenInStatus({ ...head, ...trailers }), {
    code: Code.InvalidArgument,
    reason: "MALFORMED_REQUEST",
  });
});

it("a refused upload does not hold up the other calls of its connection", async () => {
  const session = connect(`http://127.0.0.1:${server.port}`);
  try {
    const headers = {
      ":method": "POST",
      ":path": path("Generate"),
      "content-type": "application/grpc",
      te: "trailers",
    };
    const refused = session.request(headers);
    refused.on("error", () => {});
    refused.write(envelope(new Uint8Array(5 * 1024 * 1024), 100 * 1024 * 1024));
    await once(refused, "response");
    const task = { input: { case: "prompt", value: "x".repeat(1024 * 1024) } } as const;
    const next = session.request(headers);
    next.end(envelope(toBinary(GenerateRequestSchema, create(GenerateRequestSchema, { task }))));
    const [trailers] = (await once(next.resume(), "trailers")) as [Record<string, string>];
    assert.strictEqual(trailers["grpc-status"], "0");
  } finally {
    session.destroy();
  }
});
