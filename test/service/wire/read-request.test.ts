import { create, fromBinary, toBinary, toJsonString } from "@bufbuild/protobuf";
import { assert, describe, it } from "vitest";

import {
  BatchGenerateRequestSchema,
  GenerateRequestSchema,
} from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { Health } from "../../../src/client/gen/grpc/health/v1/health_pb.ts";
import { OpenRcaService } from "../../../src/client/gen/xds/service/orca/v3/orca_pb.ts";
import { apiServices } from "../../../src/service/rpc/routes.ts";
import { assertMatches } from "../../support/assert-matches.ts";
import { readRequest } from "../../../src/service/wire/read-request.ts";

const type = GenerateRequestSchema.typeName;
const json = (text: string) => readRequest({ type, bytes: Buffer.from(text), isBinary: false });

/** One of the calls of a service that was new threw, and its caller was told of a bug. */
it.each([...apiServices, Health, OpenRcaService].flatMap(({ methods }) => methods.map(({ input }) => input.typeName)))(
  "%s can be read",
  (each) => {
    const read = readRequest({ type: each, bytes: Buffer.from("{}"), isBinary: false });
    assert.notProperty(read, "malformed");
  },
);

describe("a request", () => {
  const request = create(GenerateRequestSchema, {
    task: { model: "demo", input: { case: "prompt", value: "é".repeat(1000) }, labels: { a: "b" } },
  });

  it.each([
    ["binary", toBinary(GenerateRequestSchema, request), true],
    ["JSON", Buffer.from(toJsonString(GenerateRequestSchema, request)), false],
  ] as const)("in %s is the message that was sent", (_format, bytes, isBinary) => {
    const read = readRequest({ type, bytes, isBinary });
    assert.deepStrictEqual("message" in read && fromBinary(GenerateRequestSchema, read.message), request);
  });

  it("that breaks rules is told with its fields", () => {
    assertMatches(json('{"task": {"prompt": "", "sampling": {"temperature": 3}}}'), {
      violations: [{ field: "task.prompt" }, { field: "task.sampling.temperature" }],
    });
  });

  it("with too many values in its structures is told of those", () => {
    const read = json(
      `{"task": {"chat": {"messages": [{"role": 2}], "templateOptions": {"a": [${"0,".repeat(70_000)}0]}}}}`,
    );
    assertMatches(read, {
      violations: [{ field: "task.chat.template_options", description: /more than 65536/ }],
    });
  });

  it.each([
    ["no JSON", '{"task": ', "the request is not JSON: it ends too early, at line 1, column 10", ""],
    ["a wrong kind", '{"task": {"prompt": 7}}', "7 is not allowed; it must be a text", "task.prompt"],
    ["a key twice", `{"task": {${'"prompt": 7,'.repeat(100_000)}"model": ""}}`, "it is there twice", "task.prompt"],
    ["too deep", '{"task":'.repeat(200_000), "nested more than 128 deep", ""],
    ["lists too deep", "[".repeat(400_000), "nested more than 128 deep", ""],
  ])("that is %s is told so", (_what, text, description, field) => {
    assertMatches(json(text), { malformed: { field, description: new RegExp(RegExp.escape(description)) } });
  });

  it("that is no UTF-8, or no message, is told so", () => {
    assertMatches(readRequest({ type, bytes: new Uint8Array([0x22, 0xff, 0x22]), isBinary: false }), {
      malformed: { description: "the request is not in UTF-8, as JSON has to be" },
    });
    assertMatches(readRequest({ type, bytes: new Uint8Array(10_000).fill(0x0b), isBinary: true }), {
      malformed: { description: "the request is no well-formed protobuf message" },
    });
  });
});

describe("a batch", () => {
  const batchOf = (text: string) =>
    readRequest({ type: BatchGenerateRequestSchema.typeName, bytes: Buffer.from(text), isBinary: false });

  it("is read though items of it are wrong, which are told one by one", () => {
    const read = batchOf('{"items": [{"task": {"prompt": "a"}}, {"task": {}}]}');
    assertMatches(read, { ofItems: [[], [{ field: "task.input" }]] });
  });

  it("may not have more messages in all than one task may", () => {
    const item = `{"task": {"chat": {"messages": [${"{},".repeat(1000)}{}]}}}`;
    assertMatches(batchOf(`{"items": [${Array.from({ length: 20 }, () => item).join(",")}]}`), {
      violations: [{ description: /more than 16384 messages/ }],
    });
  });
});
