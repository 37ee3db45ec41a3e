/**
 * A field of a request that the service forgets is a field that is accepted and ignored: whoever adds one to the API is told
 * here where it is not consumed.
 */
import { readdirSync, readFileSync } from "node:fs";
import { clone, create, type DescField, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { assert, describe, it } from "@effect/vitest";
import { Effect, Exit } from "effect";

import { EmbeddingService } from "../../../src/client/gen/mlxd/v1/embedding_service_pb.ts";
import { GenerationService } from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { ModelService } from "../../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { ServerService } from "../../../src/client/gen/mlxd/v1/server_service_pb.ts";
import { TokenizerService } from "../../../src/client/gen/mlxd/v1/tokenizer_service_pb.ts";
import {
  CachePolicy_Mode,
  type ChatInputSchema,
  ContextPolicy,
  type GenerationTask,
  GenerationTaskSchema,
  type ImageSchema,
  ReasoningOptions_Effort,
  Role,
  ToolChoice_Mode,
} from "../../../src/client/gen/mlxd/v1/types_pb.ts";
import type { Models } from "../../../src/service/models/Models.ts";
import { checkedTask } from "../../../src/service/rpc/task-from-wire.ts";

const text = (value: string) => [{ part: { case: "text" as const, value } }];
const call = { id: "c1", name: "f", arguments: "{}" };
const image = (source: NonNullable<MessageInitShape<typeof ImageSchema>["source"]>) => ({
  part: { case: "image" as const, value: { source, mediaType: "image/png" } },
});
const messages = [
  { role: Role.USER, content: text("q"), name: "Ada" },
  { role: Role.USER, content: [image({ case: "data", value: new Uint8Array([1]) })] },
  { role: Role.USER, content: [image({ case: "url", value: "https://example.com/a.png" })] },
  { role: Role.ASSISTANT, content: text("a"), toolCalls: [call], reasoning: "hm" },
  { role: Role.TOOL, content: text("r"), toolCallId: "c1" },
];
const tools = [
  { name: "f", description: "F", parameters: { type: "object" } },
  { name: "g", parametersJson: '{"type":"object"}' },
];
const chat = (
  toolChoice: NonNullable<MessageInitShape<typeof ChatInputSchema>["toolChoice"]>,
): NonNullable<MessageInitShape<typeof GenerationTaskSchema>["input"]> => ({
  case: "chat",
  value: { messages, tools, toolChoice, templateOptions: { a: true }, continueFinalMessage: true },
});

const base = {
  model: "m",
  modelRevision: "r",
  adapter: "a",
  sampling: {
    temperature: 0.5,
    topP: 0.4,
    topK: 3,
    minP: 0.1,
    repetitionPenalty: 1.1,
    presencePenalty: 0.2,
    frequencyPenalty: 0.3,
    seed: 5,
    logitBias: [{ tokenId: 1, bias: 2 }],
    candidateCount: 2,
  },
  stop: {
    maxOutputTokens: 9,
    minOutputTokens: 2,
    stopSequences: ["s"],
    stopTokenIds: [4],
    ignoreEos: true,
    includeStopInOutput: true,
    replaceModelStops: true,
    timeBudget: { seconds: 3n },
  },
  output: {
    tokenIds: true,
    verbatim: true,
    topLogprobs: 2,
    promptLogprobs: true,
    echoPrompt: true,
    flushTokens: 3,
    flushInterval: { nanos: 5_000_000 },
    timings: true,
  },
  scheduling: { priority: 1, fairnessId: "f", maxQueueWait: { seconds: 1n } },
  cache: { mode: CachePolicy_Mode.READ_ONLY, partition: "p", stablePrefixTokens: 4 },
  reasoning: { maxTokens: 7, effort: ReasoningOptions_Effort.HIGH },
  labels: { a: "b" },
} satisfies MessageInitShape<typeof GenerationTaskSchema>;

const { modelRevision: _revision, adapter: _adapter, ...ofAnyModel } = base;

/** Together they set every field but those of `unserved`. */
const tasks: ReadonlyArray<MessageInitShape<typeof GenerationTaskSchema>> = [
  {
    ...base,
    contextPolicy: ContextPolicy.SUMMARISE,
    input: chat({ choice: { case: "function", value: "f" } }),
    constraint: { kind: { case: "regex", value: "a" } },
  },
  {
    ...base,
    input: chat({ choice: { case: "mode", value: ToolChoice_Mode.REQUIRED } }),
    constraint: { kind: { case: "jsonSchema", value: "{}" } },
  },
  { ...ofAnyModel, alternatives: ["b"], input: { case: "prompt", value: "p" } },
  { ...base, input: { case: "prompt", value: "p" }, constraint: { kind: { case: "grammar", value: "root ::= x" } } },
  { ...base, input: { case: "tokens", value: { ids: [1] } }, constraint: { kind: { case: "jsonObject", value: {} } } },
  {
    ...base,
    input: { case: "prompt", value: "p" },
    constraint: { kind: { case: "choice", value: { choices: ["x"] } } },
  },
];

const models = { get: () => Effect.die("nothing is asked of it") } as unknown as Models["Service"];
const domainOf = (task: GenerationTask): unknown => {
  const exit = Effect.runSyncExit(checkedTask(task, models));
  return Exit.isSuccess(exit) ? exit.value : { refused: true };
};

/** Calls back with each field that is set, and with how to clear it in a message like this. */
const eachField = (
  message: ReflectMessage,
  visit: (field: DescField, clear: (root: ReflectMessage) => void) => void,
  find: (root: ReflectMessage) => ReflectMessage = (root) => root,
): void => {
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    visit(field, (root) => find(root).clear(field));
    if (field.fieldKind === "message" && field.message.typeName.startsWith("mlxd.")) {
      eachField(message.get(field), visit, (root) => find(root).get(field));
    }
    if (field.fieldKind === "list" && field.listKind === "message") {
      for (let at = 0; at < message.get(field).size; at++) {
        const itemOf = (of: ReflectMessage) => of.get(field).get(at) as ReflectMessage;
        eachField(itemOf(message), visit, (root) => itemOf(find(root)));
      }
    }
  }
};

const nameOf = (field: DescField): string => `${field.parent.typeName}.${field.name}`;

describe("a task's field", () => {
  const seen = new Set<string>();

  it("is consumed: without it the task is another one", () => {
    for (const init of tasks) {
      const task = create(GenerationTaskSchema, init);
      const whole = domainOf(task);
      assert.notProperty(whole, "refused");
      eachField(reflect(GenerationTaskSchema, task), (field, clear) => {
        seen.add(nameOf(field));
        const other = clone(GenerationTaskSchema, task);
        clear(reflect(GenerationTaskSchema, other));
        assert.notDeepEqual(domainOf(other), whole, `${nameOf(field)} is not consumed`);
      });
    }
  });

  it("is tried here, whichever it is", () => {
    const all = new Set<string>();
    const collect = (desc: DescMessage): void => {
      for (const field of desc.fields) {
        if (all.has(nameOf(field))) continue;
        all.add(nameOf(field));
        if (field.message?.typeName.startsWith("mlxd.") === true) collect(field.message);
      }
    };
    collect(GenerationTaskSchema);
    assert.deepStrictEqual(
      [...all].filter((name) => !seen.has(name)),
      [],
    );
  });
});

describe("a request's field", () => {
  const folder = new URL("../../../src/service/rpc/", import.meta.url);
  const sources = readdirSync(folder)
    .map((file) => readFileSync(new URL(file, folder), "utf8"))
    .join("\n");
  const services = [EmbeddingService, GenerationService, ModelService, ServerService, TokenizerService];
  const requests = new Map<string, DescMessage>();
  const collect = (desc: DescMessage): void => {
    if (requests.has(desc.typeName) || !desc.typeName.startsWith("mlxd.")) return;
    requests.set(desc.typeName, desc);
    for (const { message } of desc.fields) if (message !== undefined) collect(message);
  };
  for (const { methods } of services) for (const { input } of methods) collect(input);

  it.each([...requests.keys()])("of %s is read by its name", (name) => {
    for (const field of requests.get(name)?.fields ?? []) {
      assert.match(sources, new RegExp(`\\b${field.localName}\\b`), nameOf(field));
    }
  });
});
