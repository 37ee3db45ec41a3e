import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { ServerReflection as V1 } from "../../src/client/gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as V1Alpha } from "../../src/client/gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { grpc } from "../support/rpc-transports.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";
import { assertMatches } from "../support/assert-matches.ts";
import { grpcurl, noGrpcurl } from "../support/tools.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const services = [
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
  "mlxd.v1.CacheService",
  "mlxd.v1.CatalogService",
  "mlxd.v1.DiagnosticsService",
  "mlxd.v1.EmbeddingService",
  "mlxd.v1.GenerationService",
  "mlxd.v1.JobService",
  "mlxd.v1.ModelService",
  "mlxd.v1.ServerService",
  "mlxd.v1.TokenizerService",
  "xds.service.orca.v3.OpenRcaService",
];

type Question =
  Parameters<ReturnType<typeof createClient<typeof V1>>["serverReflectionInfo"]>[0] extends AsyncIterable<infer Q>
    ? Q
    : never;

describe.each([
  ["v1", V1],
  ["v1alpha", V1Alpha],
] as const)("%s", (_version, service) => {
  const ask = async (messageRequest: Question["messageRequest"]) => {
    // Both versions have the same messages, apart from their package.
    const client = createClient(service as typeof V1, grpc.create(server.url));
    async function* questions() {
      yield { host: "here", messageRequest };
    }
    for await (const answer of client.serverReflectionInfo(questions() as never)) return answer;
    throw new Error("no answer");
  };

  const filesFor = async (messageRequest: Question["messageRequest"]): Promise<ReadonlyArray<string>> => {
    const { messageResponse } = await ask(messageRequest);
    if (messageResponse.case !== "fileDescriptorResponse") throw new Error(`got ${messageResponse.case}`);
    return messageResponse.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
  };

  it("lists the services and repeats the question", async () => {
    const { messageResponse, validHost, originalRequest } = await ask({ case: "listServices", value: "" });
    assert.strictEqual(validHost, "here");
    assert.strictEqual(originalRequest?.messageRequest.case, "listServices");
    if (messageResponse.case !== "listServicesResponse") throw new Error("no list");
    assert.deepStrictEqual(messageResponse.value.service.map(({ name }) => name).toSorted(), services);
  });

  it.each([
    ["a service", "mlxd.v1.GenerationService", "mlxd/v1/generation_service.proto"],
    ["a method", "mlxd.v1.GenerationService.Generate", "mlxd/v1/generation_service.proto"],
    ["a message", "mlxd.v1.GenerationTask", "mlxd/v1/types.proto"],
    ["a nested enum", "mlxd.v1.CachePolicy.Mode", "mlxd/v1/types.proto"],
    ["a field", "mlxd.v1.GenerationTask.model", "mlxd/v1/types.proto"],
    ["a oneof", "mlxd.v1.GenerationTask.input", "mlxd/v1/types.proto"],
    ["a top-level enum value", "mlxd.v1.ROLE_USER", "mlxd/v1/types.proto"],
    ["a nested enum value", "mlxd.v1.CachePolicy.MODE_BYPASS", "mlxd/v1/types.proto"],
    ["an extension", "buf.validate.field", "buf/validate/validate.proto"],
    ["an error detail that no service imports", "google.rpc.ErrorInfo", "google/rpc/error_details.proto"],
    ["our own error detail", "mlxd.v1.GenerationFailure", "mlxd/v1/error_details.proto"],
  ])("finds the file of %s", async (_what, value, file) => {
    assert.strictEqual((await filesFor({ case: "fileContainingSymbol", value }))[0], file);
  });

  it("sends the imports along", async () => {
    const files = await filesFor({ case: "fileByFilename", value: "mlxd/v1/generation_service.proto" });
    assert.include(files, "buf/validate/validate.proto");
    assert.include(files, "google/protobuf/descriptor.proto");
    assert.strictEqual(new Set(files).size, files.length);
  });

  it("finds extensions by number", async () => {
    const value = { containingType: "google.protobuf.FieldOptions", extensionNumber: 1159 } as never;
    assert.strictEqual((await filesFor({ case: "fileContainingExtension", value }))[0], "buf/validate/validate.proto");
    const { messageResponse } = await ask({ case: "allExtensionNumbersOfType", value: "google.protobuf.FieldOptions" });
    if (messageResponse.case !== "allExtensionNumbersResponse") throw new Error("no numbers");
    assert.include(messageResponse.value.extensionNumber, 1159);
    assert.include(messageResponse.value.extensionNumber, 1052);
  });

  it.each([
    { case: "fileContainingSymbol", value: "mlxd.v1.Nope" },
    { case: "fileByFilename", value: "nope.proto" },
    { case: "allExtensionNumbersOfType", value: "mlxd.v1.Nope" },
  ] as const)("does not find $value, and says so", async (question) => {
    const { messageResponse } = await ask(question);
    assertMatches(messageResponse, { case: "errorResponse", value: { errorCode: 5 } });
  });
});

describe("grpcurl", () => {
  const run = async (program: string, ...args: string[]): Promise<string> => {
    const { stdout } = await promisify(execFile)(program, ["-plaintext", ...args]);
    return stdout;
  };

  it("lists, describes and calls without any .proto file", async (context) => {
    const program = await grpcurl();
    if (program === undefined) return context.skip(noGrpcurl);
    const address = `127.0.0.1:${server.port}`;
    assert.deepStrictEqual((await run(program, address, "list")).trim().split("\n"), services);
    const described = await run(program, address, "describe", "mlxd.v1.GenerationTask");
    assert.include(described, "message GenerationTask");
    assert.include(described, "// One generation to run. ");
    assert.match(described, /\/\/ Id, alias or repository path of the model.*\n {2}string model = 1/);
    const task = '{"task": {"prompt": "hello"}}';
    assertMatches(JSON.parse(await run(program, "-d", task, address, "mlxd.v1.GenerationService/Generate")), {
      result: { candidates: [{ text: "Once upon a time 🦊", finishReason: "FINISH_REASON_END_OF_SEQUENCE" }] },
    });
    assert.include(await run(program, "-d", task, address, "mlxd.v1.GenerationService/StreamGenerate"), "finished");
    assert.deepStrictEqual(JSON.parse(await run(program, address, "grpc.health.v1.Health/Check")), {
      status: "SERVING",
    });
  });

  it("shows the details of an error", async (context) => {
    const program = await grpcurl();
    if (program === undefined) return context.skip(noGrpcurl);
    const task = '{"task": {"prompt": "hello", "sampling": {"temperature": 3}}}';
    const failed = await run(
      program,
      "-d",
      task,
      `127.0.0.1:${server.port}`,
      "mlxd.v1.GenerationService/Generate",
    ).then(
      () => "",
      (error: { stderr: string }) => error.stderr,
    );
    assert.include(failed, "InvalidArgument");
    assert.include(failed, "task.sampling.temperature");
    assert.include(failed, "INVALID_FIELD");
  });
});

it("is not there when it is switched off", async () => {
  await using own = await startTestServer({ config: { reflection: false } });
  const response = await fetch(`${own.url}/grpc.reflection.v1.ServerReflection/ServerReflectionInfo`, {
    method: "POST",
  });
  assert.strictEqual(response.status, 404);
});
