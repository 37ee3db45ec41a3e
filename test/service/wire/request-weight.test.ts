import { create, type MessageInitShape, toBinary, toJsonString } from "@bufbuild/protobuf";
import { assert, describe, it } from "vitest";

import { GenerateRequestSchema } from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { Role } from "../../../src/client/gen/mlxd/v1/types_pb.ts";
import { isHeavy } from "../../../src/service/wire/request-weight.ts";

type Task = NonNullable<MessageInitShape<typeof GenerateRequestSchema>["task"]>;

const chatOf = (messages: number, text = "hi"): Task => ({
  input: {
    case: "chat",
    value: {
      messages: Array.from({ length: messages }, () => ({
        role: Role.USER,
        content: [{ part: { case: "text" as const, value: text } }],
      })),
    },
  },
});
const optionsOf = (values: number): Task => ({
  input: {
    case: "chat",
    value: { templateOptions: { a: Array.from({ length: values }, () => 0) } },
  },
});
const labelsOf = (count: number): Task => ({
  labels: Object.fromEntries(Array.from({ length: count }, (_, index) => [`l${index}`, ""])),
});
const idsOf = (count: number): Task => ({
  input: { case: "tokens", value: { ids: Array.from({ length: count }, (_, index) => index) } },
});

describe.each([
  ["JSON", false],
  ["binary", true],
] as const)("in %s", (_format, isBinary) => {
  const weigh = (task: Task): boolean => {
    const request = create(GenerateRequestSchema, { task });
    const bytes = isBinary
      ? toBinary(GenerateRequestSchema, request)
      : Buffer.from(toJsonString(GenerateRequestSchema, request));
    return isHeavy(GenerateRequestSchema, bytes, isBinary);
  };

  it.each([
    ["a question", chatOf(1)],
    ["a long prompt", { input: { case: "prompt" as const, value: "x".repeat(900_000) } }],
    [
      "a prompt of nothing but quotes and brackets",
      { input: { case: "prompt" as const, value: '"[{,\\'.repeat(60_000) } },
    ],
    ["a conversation of 200 messages", chatOf(200, '{"a": [1, 2, 3]}')],
    ["2,000 token ids", idsOf(2000)],
  ])("%s is light", (_what, task) => {
    assert.isFalse(weigh(task));
  });

  it.each([
    ["4,000 messages", chatOf(4000)],
    ["10,000 template options", optionsOf(10_000)],
    ["10,000 labels", labelsOf(10_000)],
    ["200,000 token ids", idsOf(200_000)],
    ["more than a megabyte", { input: { case: "prompt" as const, value: "x".repeat(1_100_000) } }],
  ])("%s is heavy", (_what, task) => {
    assert.isTrue(weigh(task));
  });
});

it("does not throw for bytes that are no message", () => {
  for (const byte of [0x00, 0x0b, 0x0a, 0x22, 0x5c, 0x7b, 0xff]) {
    const bytes = new Uint8Array(100_000).fill(byte);
    assert.strictEqual(typeof isHeavy(GenerateRequestSchema, bytes, true), "boolean");
    assert.strictEqual(typeof isHeavy(GenerateRequestSchema, bytes, false), "boolean");
  }
});
