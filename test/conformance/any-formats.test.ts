/**
 * A failed item of a batch holds its error's details as google.protobuf.Any. Over JSON these could not be written, as
 * their types were not known, and the whole batch ended with INTERNAL; the report of PrepareModel never came.
 */
import { createRegistry } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Effect, Stream } from "effect";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { ErrorInfoSchema, file_google_rpc_error_details } from "../../src/client/gen/google/rpc/error_details_pb.ts";
import { type Status } from "../../src/client/gen/google/rpc/status_pb.ts";
import { file_mlxd_v1_error_details } from "../../src/client/gen/mlxd/v1/error_details_pb.ts";
import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { ModelService } from "../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { createMlxdClient } from "../../src/client/web.ts";
import { collect } from "../support/collect.ts";
import { envelope, requestHttp1 } from "../support/raw-http.ts";
import { modelStatus } from "../support/listed-models.ts";
import { prepareReport } from "../support/prepare-report.ts";
import { eventsOf, promptOf, resultOf } from "../support/scripted-generations.ts";
import { errorCases } from "../support/service-errors.ts";
import { assertMatches } from "../support/assert-matches.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";

const jsonOptions = { registry: createRegistry(file_google_rpc_error_details, file_mlxd_v1_error_details) };
const httpVersions = ["1.1", "2"] as const;

const formats: ReadonlyArray<{ readonly name: string; readonly create: (baseUrl: string) => Transport }> = [
  true,
  false,
].flatMap((useBinaryFormat) => {
  const format = useBinaryFormat ? "binary" : "JSON";
  const options = { useBinaryFormat, jsonOptions };
  return [
    { name: `gRPC ${format}`, create: (baseUrl: string) => createGrpcTransport({ baseUrl, ...options }) },
    ...httpVersions.flatMap((httpVersion) => [
      {
        name: `gRPC-Web ${format} on HTTP/${httpVersion}`,
        create: (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion, ...options }),
      },
      {
        name: `Connect ${format} on HTTP/${httpVersion}`,
        create: (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion, ...options }),
      },
    ]),
  ];
});

const failing = new Map(errorCases.map(({ error }) => [error._tag as string, error]));

const failedWith = (name: string) => prepareReport({ stage: "failed", status: "failed", error: failing.get(name) });

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({
    run: (task) => {
      const error = failing.get(promptOf(task));
      return error === undefined ? Effect.succeed(resultOf(eventsOf(["fine"]))) : Effect.fail(error);
    },
    prepare: ({ model }) => Stream.make(failedWith(model)),
    load: ({ model }) => Effect.succeed({ model: modelStatus("demo"), report: failedWith(model) }),
    preload: (names) => Stream.fromIterable(names.map((name, index) => ({ index, name, report: failedWith(name) }))),
  });
});
afterAll(() => server.close());

/** The reason of a status, and how many details it has; all of them can be read. */
const told = ({ code, details }: Status): string => {
  const messages = details.map((any) => anyUnpack(any, jsonOptions.registry));
  assert.notInclude(messages, undefined);
  const [info] = details;
  return `${code} ${info && anyUnpack(info, ErrorInfoSchema)?.reason}`;
};
const expected = errorCases.map(({ code, reason }) => `${code} ${reason}`);

describe.each(formats)("over $name", ({ create }) => {
  it("items of a batch tell every error, and the others are answered", async () => {
    const client = createClient(GenerationService, create(server.url));
    const prompts = ["before", ...failing.keys(), "after"];
    const items = prompts.map((value) => ({ itemId: value, task: { input: { case: "prompt", value } } as const }));
    const responses = await collect(client.batchGenerate({ items }));
    const outcomes = responses.flatMap(({ event }) => (event.case === "item" ? [event.value.outcome] : []));
    assert.deepStrictEqual(
      outcomes.map(({ case: kind, value }) => (kind === "error" ? told(value) : kind)),
      ["result", ...expected, "result"],
    );
    const last = responses.at(-1)?.event;
    assert.strictEqual(last?.case === "summary" && last.value.failed, failing.size);
  });

  it("a report of PrepareModel tells every error", async () => {
    const client = createClient(ModelService, create(server.url));
    const reports: string[] = [];
    for (const model of failing.keys()) {
      const [response] = await collect(client.prepareModel({ model }));
      const event = response?.event;
      if (event?.case === "report" && event.value.error) reports.push(told(event.value.error));
    }
    assert.deepStrictEqual(reports, expected);
  });

  it("reports of LoadModel and PreloadModels tell every error", async () => {
    const client = createClient(ModelService, create(server.url));
    const loads = await Promise.all([...failing.keys()].map((model) => client.loadModel({ model })));
    const preloads = await collect(client.preloadModels({ models: [...failing.keys()] }));
    for (const responses of [loads, preloads]) {
      assert.deepStrictEqual(
        responses.map(({ report }) => report?.error && told(report.error)),
        expected,
      );
    }
  });
});

it("the client that reads JSON gets the error of an item", async () => {
  const client = createMlxdClient({ baseUrl: server.url, format: "json" });
  const reasons = [];
  const items = ["fine", "QueueFull", "fine"].map((prompt) => ({ input: { prompt } }));
  for (const { error } of (await client.batch(items).collect()).items) reasons.push(error?.reason);
  assert.deepStrictEqual(reasons, [undefined, "QUEUE_FULL", undefined]);
});

it("curl reads the type and the fields of a detail", async () => {
  const body = envelope(Buffer.from('{"items":[{"task":{"prompt":"ModelNotFound"}}]}'));
  const headers = { "content-type": "application/connect+json" };
  const answer = await requestHttp1(server.port, { path: "/mlxd.v1.GenerationService/BatchGenerate", headers, body });
  const length = answer.body.readUInt32BE(1);
  const { item } = JSON.parse(answer.body.subarray(5, 5 + length).toString()) as {
    item: { error: { details: ReadonlyArray<Record<string, unknown>> } };
  };
  assertMatches(item.error.details[0], {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    reason: "MODEL_NOT_FOUND",
    domain: "mlxd",
  });
});
