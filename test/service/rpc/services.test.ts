import { Code, createClient, type Transport } from "@connectrpc/connect";
import { Effect, Stream } from "effect";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import {
  GenerationService,
  CancelGenerationResponse_State as State,
} from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { ModelService, ModelState } from "../../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { Device, ServerService } from "../../../src/client/gen/mlxd/v1/server_service_pb.ts";
import { TokenizerService } from "../../../src/client/gen/mlxd/v1/tokenizer_service_pb.ts";
import {
  OutputWarning_Kind,
  ReasoningOptions_Effort,
  Role,
  ToolChoice_Mode,
} from "../../../src/client/gen/mlxd/v1/types_pb.ts";
import type { GenerationTask } from "../../../src/service/domain/generation-task.ts";
import { versions } from "../../../src/service/config/versions.ts";
import { Stats } from "../../../src/service/telemetry/Stats.ts";
import { modelStatus } from "../../support/listed-models.ts";
import { grpc } from "../../support/rpc-transports.ts";
import { chunk, eventsOf, finished, resultOf, started } from "../../support/scripted-generations.ts";
import { startTestServer, type TestServer } from "../../support/test-server.ts";
import { assertMatches } from "../../support/assert-matches.ts";
import { detailsOf, errorOf, violationOf } from "../../support/wire-error.ts";

const tasks: GenerationTask[] = [];
let answer = eventsOf(["ok"]);
let server: TestServer;
let transport: Transport;
beforeAll(async () => {
  server = await startTestServer({
    models: () => [modelStatus("demo"), modelStatus("other", { state: "failed", stateReason: "its files are gone" })],
    run: (task) => Effect.sync(() => (tasks.push(task), resultOf(answer))),
    stream: (task) => Stream.suspend(() => (tasks.push(task), Stream.fromIterable(answer))),
    cancel: (id) => Effect.succeed(id === "gen_1"),
  });
  transport = grpc.create(server.url);
});
afterAll(() => server.close());

describe("a result", () => {
  it("tells of an answer that was given in the place of a broken one", async () => {
    const broken = finished(3);
    const warnings = [{ kind: "regenerated", message: "it is another one" }] as const;
    const usage = { ...broken.usage, outputTokens: 10, discardedTokens: 7 };
    answer = [started, chunk("ok", 1), { ...broken, usage, warnings }];
    const { result } = await createClient(GenerationService, transport).generate({
      task: { input: { case: "prompt", value: "x" } },
    });
    assertMatches(result?.usage, { outputTokens: 10, discardedTokens: 7 });
    assert.strictEqual(result?.candidates[0]?.warnings[0]?.kind, OutputWarning_Kind.REGENERATED);
    answer = eventsOf(["ok"]);
  });
});

describe("a task", () => {
  it("arrives with all that was set, and nothing else", async () => {
    const client = createClient(GenerationService, transport);
    const stream = client.streamGenerate({
      task: {
        model: "demo",
        modelRevision: "r1",
        adapter: "polite",
        input: {
          case: "chat",
          value: {
            messages: [
              { role: Role.SYSTEM, content: [{ part: { case: "text", value: "Be brief." } }] },
              { role: Role.ASSISTANT, toolCalls: [{ id: "c1", name: "add", arguments: '{"a": 1}' }], reasoning: "hm" },
              { role: Role.TOOL, content: [{ part: { case: "text", value: "2" } }], toolCallId: "c1", name: "add" },
            ],
            tools: [{ name: "add", description: "adds", parameters: { type: "object" } }],
            toolChoice: { choice: { case: "mode", value: ToolChoice_Mode.NONE } },
            templateOptions: { enable_thinking: false },
            continueFinalMessage: true,
          },
        },
        sampling: {
          temperature: 0,
          topK: 5,
          seed: 0,
          candidateCount: 2,
          logitBias: [{ tokenId: 3, bias: -2.5 }, { tokenId: 4 }],
        },
        reasoning: { maxTokens: 0, effort: ReasoningOptions_Effort.HIGH },
        stop: {
          maxOutputTokens: 9,
          stopSequences: ["\n"],
          stopTokenIds: [7],
          ignoreEos: true,
          timeBudget: { nanos: 500_000 },
        },
        output: {
          tokenIds: true,
          verbatim: true,
          topLogprobs: 0,
          promptLogprobs: true,
          echoPrompt: true,
          flushTokens: 4,
          flushInterval: { seconds: 1n },
        },
        scheduling: { priority: -3, fairnessId: "team", maxQueueWait: { seconds: 2n } },
        cache: { mode: 2, partition: "tenant", stablePrefixTokens: 12 },
        labels: { job: "nightly" },
      },
    });
    for await (const event of stream) assert.isDefined(event);
    const none = { toolCalls: [], toolCallId: "", name: "", reasoning: "", content: [] };
    assert.deepStrictEqual(tasks.at(-1), {
      model: "demo",
      modelRevision: "r1",
      adapter: "polite",
      input: {
        type: "chat",
        messages: [
          { ...none, role: "system", content: [{ type: "text", text: "Be brief." }] },
          {
            ...none,
            role: "assistant",
            toolCalls: [{ id: "c1", name: "add", arguments: '{"a": 1}' }],
            reasoning: "hm",
          },
          { ...none, role: "tool", content: [{ type: "text", text: "2" }], toolCallId: "c1", name: "add" },
        ],
        tools: [{ name: "add", description: "adds", parameters: { type: "object" } }],
        toolChoice: { mode: "none" },
        templateOptions: { enable_thinking: false },
        continueFinalMessage: true,
      },
      reasoning: { maxTokens: 0, effort: "high" },
      sampling: {
        temperature: 0,
        topK: 5,
        seed: 0,
        candidateCount: 2,
        logitBias: [
          { tokenId: 3, bias: -2.5 },
          { tokenId: 4, bias: 0 },
        ],
      },
      stop: {
        maxOutputTokens: 9,
        stopSequences: ["\n"],
        stopTokenIds: [7],
        ignoreEos: true,
        includeStopInOutput: false,
        timeBudgetMs: 0.5,
      },
      output: {
        tokenIds: true,
        verbatim: true,
        topLogprobs: 0,
        promptLogprobs: true,
        echoPrompt: true,
        timings: false,
        flushTokens: 4,
        flushIntervalMs: 1000,
      },
      scheduling: { priority: -3, fairnessId: "team", maxQueueWaitMs: 2000 },
      cache: { mode: "read-only", partition: "tenant", stablePrefixTokens: 12 },
      labels: { job: "nightly" },
    });
  });

  it("without options leaves all of them to the model", async () => {
    const client = createClient(GenerationService, transport);
    const { result } = await client.generate({ task: { input: { case: "tokens", value: { ids: [1, 2] } } } });
    assert.deepStrictEqual(tasks.at(-1), {
      model: "",
      input: { type: "tokens", ids: [1, 2] },
      reasoning: {},
      sampling: {},
      stop: { stopSequences: [], stopTokenIds: [], ignoreEos: false, includeStopInOutput: false },
      output: { tokenIds: false, verbatim: false, promptLogprobs: false, echoPrompt: false, timings: false },
      scheduling: { fairnessId: "" },
      cache: { mode: "read-write", partition: "" },
      labels: {},
    });
    // What was not asked for is not told.
    assert.deepStrictEqual(result?.candidates[0]?.tokenIds, []);
    assert.isUndefined(result?.timings);
  });
});

it("CancelGeneration tells whether there was something to cancel", async () => {
  const client = createClient(GenerationService, transport);
  assert.strictEqual((await client.cancelGeneration({ generationId: "gen_1" })).state, State.CANCELLING);
  assert.strictEqual((await client.cancelGeneration({ generationId: "gen_2" })).state, State.NOT_RUNNING);
  assert.include(violationOf(await errorOf(client.cancelGeneration({}))), "generation_id: it has 0 bytes");
});

describe("TokenizerService", () => {
  it("turns texts to ids and back", async () => {
    const client = createClient(TokenizerService, transport);
    const answer = await client.tokenize({ texts: ["hé", ""], addSpecialTokens: true, pieces: true });
    assertMatches(answer, { model: "demo", contextLength: 512 });
    assert.deepStrictEqual(
      answer.texts.map(({ ids }) => ids),
      [[1, 104, 195, 169], [1]],
    );
    assert.deepStrictEqual(answer.texts[0]?.pieces, ["<0x01>", "<0x68>", "<0xC3>", "<0xA9>"]);
    assert.deepStrictEqual((await client.tokenize({ texts: ["a"] })).texts[0]?.pieces, []);
    assert.strictEqual((await client.detokenize({ ids: [1, 104, 195, 169], skipSpecialTokens: true })).text, "hé");
    assert.strictEqual((await client.detokenize({})).text, "");
  });

  it("refuses an id that the vocabulary does not have", async () => {
    const client = createClient(TokenizerService, transport);
    const error = await errorOf(client.detokenize({ ids: [1, 256] }));
    assert.strictEqual(violationOf(error), "ids[1]: 256 is out of range; it must be less than 256");
  });

  it("counts a task, and refuses what a generation would", async () => {
    const client = createClient(TokenizerService, transport);
    const task = { input: { case: "prompt", value: "x" } } as const;
    assertMatches(await client.countTokens({ task }), { promptTokens: 5, fits: true, maxOutputTokensLeft: 507 });
    const error = await errorOf(client.countTokens({ task: { ...task, sampling: { temperature: 3 } } }));
    assert.strictEqual(detailsOf(error).info?.reason, "INVALID_FIELD");
  });

  it("does not find an unknown model", async () => {
    const client = createClient(TokenizerService, transport);
    assert.strictEqual((await errorOf(client.tokenize({ model: "nope", texts: ["a"] }))).code, Code.NotFound);
  });
});

describe("ModelService", () => {
  it("tells of a model all but where it is", async () => {
    const client = createClient(ModelService, transport);
    const { model } = await client.getModel({});
    assertMatches(model, {
      id: "demo",
      isDefault: true,
      state: ModelState.ACTIVE,
      contextLength: 512,
      defaultMaxOutputTokens: 128,
      defaultSampling: { temperature: 0.7, topP: 0.9, topK: 40 },
      capabilities: { chat: true, vision: false },
      engine: "mlx",
      loadedAt: { seconds: 1_700_000_000n },
    });
    assert.isUndefined(model?.lastUsedAt);
    assert.notInclude(Object.values(model ?? {}), "/srv/secret/models/demo");
  });

  it("lists by state and page", async () => {
    const client = createClient(ModelService, transport);
    const failed = await client.listModels({ states: [ModelState.FAILED] });
    assert.deepStrictEqual(
      failed.models.map(({ id, stateReason }) => [id, stateReason]),
      [["other", "its files are gone"]],
    );
    const first = await client.listModels({ pageSize: 1 });
    const second = await client.listModels({ pageSize: 1, pageToken: first.nextPageToken });
    assert.deepStrictEqual(
      [...first.models, ...second.models].map(({ id }) => id),
      ["demo", "other"],
    );
    assert.include(violationOf(await errorOf(client.listModels({ pageToken: "x" }))), "page_token");
    assert.deepStrictEqual(
      (await client.listModels({ pageSize: 2 ** 32 - 1 })).models.map(({ id }) => id),
      ["demo", "other"],
    );
  });

  it("suggests near names for an unknown one", async () => {
    const client = createClient(ModelService, transport);
    assert.strictEqual(
      (await errorOf(client.getModel({ model: "dmeo" }))).rawMessage,
      'no model is called "dmeo"; did you mean demo?',
    );
  });
});

describe("ServerService", () => {
  it("tells version, device and limits", async () => {
    const client = createClient(ServerService, transport);
    assertMatches(await client.getServerInfo({}), {
      version: versions.mlxd,
      mlxVersion: "0.32.4",
      mlxBinding: "own",
      mlxBindingReason: "it is the default",
      // What the engine says, whatever machine this is.
      device: Device.METAL,
      defaultModel: "demo",
      limits: {
        maxMessageBytes: 4 * 1024 * 1024,
        maxDeadline: { seconds: 3600n },
        defaultDeadline: { seconds: 600n },
        maxRunning: 4,
        maxQueued: 8,
      },
    });
  });

  it("tells what goes on, in all and by model", async () => {
    await server.runtime.runPromise(
      Effect.map(Stats, (stats) => {
        stats.move("demo", "running", 1);
        stats.move("other", "queued", 1);
        stats.ended("demo", "succeeded", { promptTokens: 5, cachedPromptTokens: 2, outputTokens: 7 });
      }),
    );
    const stats = await createClient(ServerService, transport).getStats({});
    assertMatches(stats.total, { running: 1, queued: 1, succeeded: 1, promptTokens: 5, outputTokens: 7 });
    assertMatches(stats.models, [
      {
        model: "demo",
        state: ModelState.ACTIVE,
        generations: { running: 1 },
        kvCacheBytes: 1_000_000,
        engineRestarts: 1,
      },
      { model: "other", state: ModelState.FAILED, generations: { queued: 1 } },
    ]);
    assert.isAbove(stats.serviceResidentBytes, 1e6);
  });
});
