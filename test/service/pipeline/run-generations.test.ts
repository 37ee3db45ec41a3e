import { assert, describe, it } from "@effect/vitest";
import { Cause, Effect, Exit, Fiber, Layer, Stream } from "effect";
import { TestClock } from "effect/testing";

import { Admission } from "../../../src/service/admission/Admission.ts";
import { AdmissionConfig } from "../../../src/service/config/AdmissionConfig.ts";
import type { QualitySettings } from "../../../src/service/config/QualityConfig.ts";
import { type Call, CurrentCall } from "../../../src/service/domain/Call.ts";
import type { Caller } from "../../../src/service/domain/Caller.ts";
import { EngineLost, ModelNotFound, type Progress } from "../../../src/service/domain/errors.ts";
import type { GenerationTask } from "../../../src/service/domain/generation.ts";
import type { ModelFacts } from "../../../src/service/domain/model.ts";
import type { OutputFormat } from "../../../src/service/output/output-format.ts";
import { familyProfile } from "../../../src/service/models/catalog/families.ts";
import { Models } from "../../../src/service/models/Models.ts";
import { SmokeTests } from "../../../src/service/models/smoke/SmokeTests.ts";
import { Generations } from "../../../src/service/pipeline/Generations.ts";
import { layer as generationsLayer } from "../../../src/service/pipeline/run-generations.ts";
import type { TemplateShape } from "../../../src/service/prompt/template-shape.ts";
import { ChatTemplateRefused } from "../../../src/service/prompt/chat-template.ts";
import { noUsage } from "../../../src/service/domain/usage.ts";
import { Metrics } from "../../../src/service/telemetry/metrics/Metrics.ts";
import { Stats } from "../../../src/service/telemetry/Stats.ts";
import { openAccess } from "../../support/open-access.ts";
import { tokenModel } from "../../support/model-in-use.ts";
import { quality } from "../../support/quality.ts";
import { makeScriptedEngine, type ScriptedEngine } from "../../support/scripted-engine.ts";
import { textTools } from "../../support/text-tools.ts";
import { chat, facts, message, task } from "../../support/tasks.ts";

/** One token for each character. */
const tokenizer = {
  vocabularySize: 256,
  longestTokenBytes: 4,
  isSpecial: () => false,
  encode: (text: string) => Array.from(text, (character) => (character.codePointAt(0) ?? 0) % 256),
  decode: (ids: ReadonlyArray<number>) => String.fromCodePoint(...ids),
  piece: (id: number) => String.fromCodePoint(id),
  bytes: (id: number) => new TextEncoder().encode(String.fromCodePoint(id)),
};

const chatTemplate = {
  template: { options: ["enable_thinking"] },
  render: ({ messages }: Extract<GenerationTask["input"], { type: "chat" }>) => {
    if (messages.some(({ role }) => role === "tool")) throw new ChatTemplateRefused("no tools here");
    return messages
      .map(({ content }) => content.map((part) => (part.type === "text" ? part.text : "")).join(""))
      .join("|");
  },
};

const outputFormat: OutputFormat = { notation: "tagged", reasoningTags: undefined, cleanUp: ["strip_role_tokens"] };
const thinking: OutputFormat = { ...outputFormat, reasoningTags: { open: "<t>", close: "</t>" } };

const withTools = facts({ capabilities: { ...facts().capabilities, tools: true } });

/** Runs a test against the pipeline on a scripted engine. */
const withPipeline = <A, E>(
  script: Parameters<typeof makeScriptedEngine>[0],
  test: (engine: ScriptedEngine) => Effect.Effect<A, E, Generations | Stats>,
  limits = { maxRunning: 2, maxQueued: 2 },
  model: {
    readonly facts?: ModelFacts;
    readonly outputFormat?: OutputFormat;
    readonly template?: Partial<TemplateShape>;
  } = {},
  tried: Partial<QualitySettings> = {},
) =>
  Effect.gen(function* () {
    const engine = yield* makeScriptedEngine(script);
    const models = Layer.mock(Models)({
      use: (name) =>
        name === "" || name === "tiny"
          ? Effect.succeed(
              tokenModel(
                {
                  facts: facts(),
                  profile: familyProfile("unknown"),
                  ...textTools({
                    tokenizer,
                    ...chatTemplate,
                    outputFormat: model.outputFormat ?? outputFormat,
                    ...(model.template && { template: model.template }),
                  }),
                  ...(model.facts && { facts: model.facts }),
                },
                Effect.succeed(engine),
              ),
            )
          : Effect.fail(new ModelNotFound({ model: name, nearest: [] })),
    });
    const smokeTests = Layer.mock(SmokeTests)({ of: () => undefined, blocking: () => undefined });
    const base = Layer.mergeAll(
      models,
      smokeTests,
      quality(tried),
      Stats.layer,
      openAccess,
      Metrics.layer,
      Layer.succeed(AdmissionConfig, limits),
    );
    const layer = generationsLayer.pipe(Layer.provideMerge(Admission.layer), Layer.provideMerge(base));
    return yield* test(engine).pipe(Effect.provide(layer));
  });

const assertIdle = Effect.gen(function* () {
  const stats = (yield* (yield* Stats).snapshot).get("tiny");
  assert.strictEqual(stats?.running ?? 0, 0);
  assert.strictEqual(stats?.queued ?? 0, 0);
});

describe("Generations", () => {
  it.effect("streams started, chunks and one finished, and the unary result is their fold", () =>
    withPipeline(["The ", "answer", "."], () =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        const events = yield* Stream.runCollect(generations.stream(task()));
        assert.deepStrictEqual(
          events.map(({ type }) => type),
          ["started", "chunk", "chunk", "chunk", "finished"],
        );
        const result = yield* generations.run(task());
        const text = events.map((event) => (event.type === "chunk" ? event.text : "")).join("");
        assert.strictEqual(result.candidates[0]?.text, "The answer.");
        assert.strictEqual(text, result.candidates[0]?.text);
        assert.strictEqual(result.candidates[0]?.finished.finishReason, "end-of-sequence");
        assert.deepStrictEqual(result.usage, { promptTokens: 5, cachedPromptTokens: 0, outputTokens: 3 });
        const stats = (yield* (yield* Stats).snapshot).get("tiny");
        assert.deepInclude(stats, { running: 0, queued: 0, succeeded: 2, promptTokens: 10, outputTokens: 6 });
      }),
    ),
  );

  it.effect("gives the engine a prompt as it stands and a conversation through the template", () =>
    withPipeline(["x"], (engine) =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        yield* generations.run(task({ input: { type: "prompt", text: "ab" } }));
        yield* generations.run(task({ input: chat(message("user", "a"), message("user", "b")) }));
        yield* generations.run(task({ input: { type: "tokens", ids: [9, 8] } }));
        assert.deepStrictEqual(
          engine.requests.map(({ promptTokenIds }) => promptTokenIds),
          [
            [97, 98],
            [97, 124, 98],
            [9, 8],
          ],
        );
      }),
    ),
  );

  const refusals: ReadonlyArray<readonly [string, Partial<GenerationTask>, string, RegExp]> = [
    ["an unknown model", { model: "nope" }, "ModelNotFound", /"nope"/],
    ["another revision", { modelRevision: "r2" }, "ModelRevisionMismatch", /r1.*r2/],
    [
      "an output over the room left",
      { stop: { ...task().stop, maxOutputTokens: 28 } },
      "ContextLengthExceeded",
      /5 prompt tokens and 28 output tokens exceed the context of 32/,
    ],
    [
      "a prompt that fills the context",
      { input: { type: "prompt", text: "a".repeat(32) } },
      "ContextLengthExceeded",
      /32 prompt tokens/,
    ],
    [
      "a prompt too long to be tokenised",
      { input: { type: "prompt", text: "a".repeat(10_000) } },
      "ContextLengthExceeded",
      /at least 2500 prompt tokens/,
    ],
    ["a token outside the vocabulary", { input: { type: "tokens", ids: [1, 256] } }, "InvalidField", /ids\[1\]: 256/],
    [
      "a stop token outside the vocabulary",
      { stop: { ...task().stop, stopTokenIds: [999] } },
      "InvalidField",
      /stop_token_ids\[0\]: 999/,
    ],
    [
      "a bias on a token outside the vocabulary",
      {
        sampling: {
          logitBias: [
            { tokenId: 255, bias: 1 },
            { tokenId: 256, bias: 1 },
          ],
        },
      },
      "InvalidField",
      /logit_bias\[1\]\.token_id: 256 is no token of model "tiny", whose vocabulary has 256/,
    ],
    [
      "a minimum over the maximum",
      { stop: { ...task().stop, minOutputTokens: 5, maxOutputTokens: 4 } },
      "InvalidField",
      /5 is more than max_output_tokens, which is 4/,
    ],
    ["a role that the template refuses", { input: chat(message("tool", "4")) }, "InvalidField", /no tools here/],
    [
      "tools for a template without tools",
      {
        input: {
          ...(chat(message("user", "x")) as object),
          tools: [{ name: "f", description: "", parameters: undefined }],
        } as never,
      },
      "UnsupportedParameter",
      /task.chat.tools/,
    ],
  ];
  const hello = chat(message("user", "x"));
  const reasoningRefusals: typeof refusals = [
    [
      "a limit of reasoning for a model that marks none",
      { input: hello, reasoning: { maxTokens: 5 } },
      "UnsupportedParameter",
      /task.reasoning.max_tokens.*marks no reasoning/,
    ],
    [
      "a limit of reasoning for a raw prompt",
      { reasoning: { maxTokens: 5 } },
      "UnsupportedParameter",
      /task.reasoning.max_tokens.*only in a conversation/,
    ],
    [
      "an effort that the template does not know",
      { input: hello, reasoning: { effort: "high" } },
      "UnsupportedParameter",
      /task.reasoning.effort.*no reasoning_effort/,
    ],
    [
      "a template option that the template does not use",
      { input: { ...hello, templateOptions: { enable_thinking: true, enable_thinkign: false } } as never },
      "UnsupportedParameter",
      /task.chat.template_options.enable_thinkign/,
    ],
    [
      "a template option that the service sets itself",
      { input: { ...hello, templateOptions: { messages: [] } } as never },
      "InvalidField",
      /^task.chat.template_options.messages: this variable is not the caller's to set/,
    ],
  ];
  for (const [what, overrides, tag, text] of [...refusals, ...reasoningRefusals]) {
    it.effect(`refuses ${what} before the engine sees it`, () =>
      withPipeline(["x"], (engine) =>
        Effect.gen(function* () {
          const error = yield* Effect.flip((yield* Generations).run(task(overrides)));
          assert.strictEqual(error._tag, tag);
          assert.match(error.message, text);
          assert.strictEqual(engine.requests.length, 0);
          yield* assertIdle;
        }),
      ),
    );
  }

  it.effect("refuses a conversation of which the template writes nothing, and a text without a token", () =>
    withPipeline(["x"], (engine) =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        const inputs = [
          [chat(message("assistant", "")), "task.chat.messages: the model's chat template makes an empty prompt"],
          [{ type: "prompt", text: "" }, "task.prompt: it has no tokens"],
        ] as const;
        for (const [input, text] of inputs) {
          const error = yield* Effect.flip(generations.run(task({ input })));
          assert.strictEqual(error._tag, "InvalidField");
          assert.include(error.message, text);
        }
        assert.strictEqual(engine.requests.length, 0);
      }),
    ),
  );

  it.effect("refuses a text with a token that the model has no embedding of", () =>
    withPipeline(
      ["x"],
      (engine) =>
        Effect.gen(function* () {
          const input = { type: "prompt", text: "ab{" } as const;
          const error = yield* Effect.flip((yield* Generations).run(task({ input })));
          assert.strictEqual(error._tag, "InvalidField");
          assert.include(error.message, 'task.prompt: holds token 123, which model "tiny" has no embedding of');
          assert.strictEqual(engine.requests.length, 0);
        }),
      undefined,
      { facts: facts({ vocabularySize: 123 }) },
    ),
  );

  it.effect("tells the engine how to read the output", () =>
    withPipeline(
      ["x"],
      (engine) =>
        Effect.gen(function* () {
          const generations = yield* Generations;
          const tools = [{ name: "f", description: "", parameters: undefined }];
          const offering = { ...chat(message("user", "x")), tools };
          const tasks: ReadonlyArray<Partial<GenerationTask>> = [
            { input: { type: "prompt", text: "x" } },
            { input: offering },
            { input: { ...offering, toolChoice: { mode: "none" } } as never },
            { input: offering, output: { ...task().output, verbatim: true } },
            { input: chat(message("user", "x<t>\n")), reasoning: { maxTokens: 5 } },
            { input: chat(message("user", "x")), reasoning: { maxTokens: 0 } },
          ];
          for (const one of tasks) yield* generations.run(task(one));
          const readings = engine.requests.map(({ reading, reasoningLimit }) => ({
            reads: reading.format !== undefined,
            tools: reading.tools?.names,
            startsInReasoning: reading.startsInReasoning,
            limit: reasoningLimit && String.fromCodePoint(...reasoningLimit.openTokenIds),
          }));
          const plain = { reads: false, tools: undefined, startsInReasoning: false, limit: undefined };
          assert.deepStrictEqual(readings, [
            plain,
            { ...plain, reads: true, tools: ["f"] },
            { ...plain, reads: true },
            plain,
            { ...plain, reads: true, startsInReasoning: true, limit: "" },
            { ...plain, reads: true, limit: "<t>" },
          ]);
        }),
      undefined,
      { outputFormat: thinking, facts: withTools },
    ),
  );

  it.effect("cleans no text that a constraint lets through", () =>
    withPipeline(
      ["x"],
      (engine) =>
        Effect.gen(function* () {
          const generations = yield* Generations;
          const input = chat(message("user", "x"));
          yield* generations.run(task({ input }));
          yield* generations.run(task({ input, constraint: { type: "regex", pattern: "<s>a" } }));
          assert.deepStrictEqual(
            engine.requests.map(({ reading }) => reading.format?.cleanUp),
            [["strip_role_tokens"], []],
          );
        }),
      undefined,
      { outputFormat: { ...thinking, cleanUp: ["strip_role_tokens"] } },
    ),
  );

  it.effect("refuses a tool whose schema cannot be used", () =>
    withPipeline(
      ["x"],
      () =>
        Effect.gen(function* () {
          const tools = [{ name: "f", description: "", parameters: { $ref: "#/nowhere" } }];
          const input = { ...chat(message("user", "x")), tools } as never;
          const error = yield* Effect.flip((yield* Generations).run(task({ input })));
          assert.strictEqual(error._tag, "InvalidField");
          assert.match(error.message, /task.chat.tools\[0\].parameters.*nowhere/);
        }),
      undefined,
      { facts: withTools },
    ),
  );

  it.effect("refuses what the chat template would leave out, by its place in the conversation", () =>
    Effect.gen(function* () {
      const writes = { calls: false, results: false, names: false, reasoning: false };
      const message = { role: "user", content: [], toolCalls: [], toolCallId: "", name: "", reasoning: "" } as const;
      const call = { id: "c1", name: "f", arguments: "{}" };
      for (const [field, messages, template] of [
        ["messages[1].tool_calls", [message, { ...message, role: "assistant", toolCalls: [call] }], {}],
        ["messages[0].role", [{ ...message, role: "tool" }], {}],
        ["messages[0].name", [{ ...message, name: "Ann" }], {}],
        ["messages[0].reasoning", [{ ...message, role: "assistant", reasoning: "hm" }], {}],
        [undefined, [{ ...message, role: "tool", name: "f" }], { results: true }],
        [undefined, [{ ...message, name: "Ann" }], { names: true }],
      ] as const) {
        const rest = { tools: [], toolChoice: { mode: "auto" }, templateOptions: {}, continueFinalMessage: false };
        const input = { type: "chat", messages, ...rest } as never;
        const shape = { template: { writes: { ...writes, ...template } } };
        const exit = yield* Effect.exit(
          withPipeline(
            ["ok"],
            () => Effect.flatMap(Generations, (generations) => generations.run(task({ input }))),
            undefined,
            shape,
          ),
        );
        const told = exit._tag === "Failure" ? Cause.pretty(exit.cause) : "";
        if (field === undefined) assert.notMatch(told, /UnsupportedParameter/);
        else assert.include(told, `task.chat.${field}`);
      }
    }),
  );

  it.effect("refuses prompt logprobs that are too many for a message, with their number and the bound", () =>
    withPipeline(
      ["x"],
      (engine) =>
        Effect.gen(function* () {
          const generations = yield* Generations;
          const scored = (length: number) =>
            task({
              input: { type: "tokens", ids: Array.from({ length }, () => 1) },
              output: { ...task().output, promptLogprobs: true, topLogprobs: 15 },
            });
          const error = yield* Effect.flip(generations.run(scored(4097)));
          assert.match(
            error.message,
            /task\.output\.prompt_logprobs: 4097 prompt tokens with 15 alternatives each make 65552 logprobs; .* 65536/,
          );
          assert.strictEqual(engine.requests.length, 0);
          yield* generations.run(scored(4096));
          assert.strictEqual(engine.requests[0]?.promptLogprobs, true);
        }),
      undefined,
      { facts: facts({ contextLength: 10_000 }) },
    ),
  );

  it.effect("shortens a conversation by its policy, and accounts for the summary with the answer", () =>
    withPipeline(
      ["A ", "word"],
      (engine) =>
        Effect.gen(function* () {
          const generations = yield* Generations;
          const input = chat(
            message("user", "x".repeat(300)),
            message("assistant", "y".repeat(200)),
            message("user", "z".repeat(20)),
          );
          const refused = yield* Effect.flip(generations.run(task({ input })));
          assert.deepInclude(refused, { _tag: "ContextLengthExceeded", promptTokens: 522, contextLength: 512 });
          const dropped = yield* generations.run(task({ input, contextPolicy: "drop-oldest" }));
          assert.deepInclude(dropped.started, { promptTokens: 20, context: { droppedMessages: 2 } });
          assert.strictEqual(dropped.candidates[0]?.text, "A word");
          const before = (yield* (yield* Stats).snapshot).get("tiny");
          const events = yield* Stream.runCollect(generations.stream(task({ input, contextPolicy: "summarise" })));
          const started = events.filter((event) => event.type === "started");
          assert.lengthOf(started, 1);
          const { droppedMessages, summary, summaryUsage = noUsage } = started[0]?.context ?? {};
          assert.deepStrictEqual([droppedMessages, summary], [2, "A word"]);
          assert.isAbove(summaryUsage.promptTokens, 500);
          const last = events.at(-1);
          const { promptTokens = 0, outputTokens = 0 } = last?.type === "finished" ? last.usage : {};
          const after = (yield* (yield* Stats).snapshot).get("tiny");
          assert.strictEqual(
            (after?.promptTokens ?? 0) - (before?.promptTokens ?? 0),
            promptTokens + summaryUsage.promptTokens,
          );
          assert.strictEqual(
            (after?.outputTokens ?? 0) - (before?.outputTokens ?? 0),
            outputTokens + summaryUsage.outputTokens,
          );
          assert.strictEqual((after?.succeeded ?? 0) - (before?.succeeded ?? 0), 1);
          assert.isTrue(engine.requests.length >= 4);
          yield* assertIdle;
        }),
      undefined,
      { facts: facts({ contextLength: 512 }) },
    ),
  );

  const candidates = (candidateCount: number, seed = 4_000_000_000) =>
    task({ sampling: { candidateCount, seed }, output: { ...task().output, promptLogprobs: true } });

  it.effect("runs each candidate with a seed of its own, the first with the task's", () =>
    withPipeline(["a", "b"], (engine) =>
      Effect.gen(function* () {
        const { candidates: answers, usage, started } = yield* (yield* Generations).run(candidates(3));
        assert.deepStrictEqual(
          engine.requests.map(({ parameters, promptLogprobs }) => [parameters.seed, promptLogprobs]),
          [
            [4_000_000_000, true],
            [(4_000_000_000 + 2_654_435_769) % 2 ** 32, false],
            [(4_000_000_000 + 2 * 2_654_435_769) % 2 ** 32, false],
          ],
        );
        assert.strictEqual(started.parameters.seed, 4_000_000_000);
        assert.deepStrictEqual(
          answers.map(({ text, finished }) => [finished.candidateIndex, text, finished.usage.outputTokens]),
          [
            [0, "ab", 2],
            [1, "ab", 2],
            [2, "ab", 2],
          ],
        );
        assert.deepStrictEqual(usage, { promptTokens: 5, cachedPromptTokens: 0, outputTokens: 6 });
        const stats = (yield* (yield* Stats).snapshot).get("tiny");
        assert.deepInclude(stats, { running: 0, succeeded: 1, promptTokens: 5, outputTokens: 6 });
      }),
    ),
  );

  it.effect("starts once and finishes each candidate once", () =>
    withPipeline(["a"], () =>
      Effect.gen(function* () {
        const events = yield* Stream.runCollect((yield* Generations).stream(candidates(2)));
        assert.deepStrictEqual(
          events.map((event) => (event.type === "started" ? "started" : `${event.type} ${event.candidateIndex}`)),
          ["started", "chunk 0", "finished 0", "chunk 1", "finished 1"],
        );
      }),
    ),
  );

  it.effect("drops every candidate when the reader leaves, or one is lost", () =>
    withPipeline(["a", { pause: true }, { fail: new EngineLost({ model: "tiny" }) }], (engine) =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        yield* generations.stream(candidates(2)).pipe(Stream.take(2), Stream.runCollect);
        assert.strictEqual(engine.dropped.length, 2);
        const fiber = yield* Effect.forkChild(Effect.flip(generations.run(candidates(2))));
        yield* TestClock.adjust("1 millis");
        yield* engine.resume;
        const error = yield* Fiber.join(fiber);
        assert.strictEqual(error._tag === "EngineLost" ? error.progress?.usage.outputTokens : -1, 2);
        yield* assertIdle;
      }),
    ),
  );

  it.effect("ends every candidate of a cancelled generation", () =>
    withPipeline(["a", { pause: true }, "b"], () =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        const events = yield* generations.stream(candidates(2)).pipe(
          Stream.tap((event) =>
            event.type === "chunk" && event.candidateIndex === 1
              ? Effect.map(generations.cancel(generationId), (found) => assert.isTrue(found))
              : Effect.sync(() => {
                  if (event.type === "started") generationId = event.generationId;
                }),
          ),
          Stream.runCollect,
        );
        assert.deepStrictEqual(
          events.flatMap((event) => (event.type === "finished" ? [event.finishReason] : [])),
          ["cancelled", "cancelled"],
        );
      }),
    ),
  );
  let generationId = "";

  it.effect("begins each candidate's text with the prompt, of whatever kind it is", () =>
    withPipeline(["x"], () =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        const inputs: ReadonlyArray<GenerationTask["input"]> = [
          { type: "prompt", text: "ab" },
          chat(message("user", "c"), message("user", "d")),
          { type: "tokens", ids: [101, 102] },
        ];
        const texts: string[][] = [];
        for (const input of inputs) {
          const echoing = { ...candidates(2), input, output: { ...task().output, echoPrompt: true } };
          const result = yield* generations.run(echoing);
          texts.push(result.candidates.map(({ text }) => text));
          assert.deepStrictEqual(
            result.candidates.map(({ tokenIds }) => tokenIds),
            [[101], [101]],
          );
          assert.strictEqual(result.usage.outputTokens, 2);
        }
        assert.deepStrictEqual(texts, [
          ["abx", "abx"],
          ["c|dx", "c|dx"],
          ["efx", "efx"],
        ]);
      }),
    ),
  );

  it.effect("passes an output that fills the context to the last token", () =>
    withPipeline(["x"], (engine) =>
      Effect.gen(function* () {
        yield* (yield* Generations).run(task({ stop: { ...task().stop, maxOutputTokens: 27 } }));
        assert.strictEqual(engine.requests[0]?.parameters.maxOutputTokens, 27);
      }),
    ),
  );

  it.effect("drops the sequence and gives its place back when the reader leaves", () =>
    withPipeline(["a", { pause: true }, "b"], (engine) =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        const first = yield* generations.stream(task()).pipe(Stream.take(2), Stream.runCollect);
        assert.strictEqual(first.length, 2);
        assert.strictEqual(engine.dropped.length, 1);
        yield* assertIdle;
      }),
    ),
  );

  it.effect("tells its call how far it has come, also once it is interrupted", () =>
    withPipeline(["a", "b", { pause: true }], (engine) =>
      Effect.gen(function* () {
        let progress: (() => Progress) | undefined;
        const call = { ...(yield* CurrentCall), follow: (ask: () => Progress) => void (progress = ask) };
        const running = (yield* Generations).run(task()).pipe(Effect.provideService(CurrentCall, call));
        const fiber = yield* Effect.forkChild(running);
        yield* TestClock.adjust("1 millis");
        assert.strictEqual(progress?.().usage.outputTokens, 2);
        yield* Fiber.interrupt(fiber);
        assert.strictEqual(progress?.().usage.outputTokens, 2);
        assert.strictEqual(engine.dropped.length, 1);
        yield* assertIdle;
      }),
    ),
  );

  it.effect("is ended by its caller, and by nobody of another tenant", () =>
    withPipeline(["a", { pause: true }, "b"], () =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        const as = (name: string, tenant: string, roles: Caller["roles"] = ["inference"]) =>
          Effect.updateService(CurrentCall, (call): Call => ({ ...call, caller: { name, tenant, roles, peer: "" } }));
        let id = "";
        const running = generations.stream(task()).pipe(
          Stream.tap((event) => Effect.sync(() => (id = event.type === "started" ? event.generationId : id))),
          Stream.runDrain,
          as("ann", "a"),
        );
        const fiber = yield* Effect.forkChild(running);
        yield* TestClock.adjust("1 millis");
        assert.notStrictEqual(id, "");
        assert.isFalse(yield* generations.cancel(id).pipe(as("bob", "b")));
        assert.isFalse(yield* generations.cancel(id).pipe(as("ann", "b", ["inference", "admin"])));
        assert.isFalse(yield* generations.cancel(id).pipe(as("bob", "a")));
        assert.isTrue(yield* generations.cancel(id).pipe(as("bob", "a", ["admin"])));
        yield* Fiber.join(fiber);
      }),
    ),
  );

  it.effect("tells how far a generation had come when its engine was lost", () =>
    withPipeline(["a", { fail: new EngineLost({ model: "tiny" }) }], () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip((yield* Generations).run(task()));
        assert.strictEqual(error._tag, "EngineLost");
        assert.strictEqual(error._tag === "EngineLost" ? error.progress?.usage.outputTokens : -1, 1);
        const stats = (yield* (yield* Stats).snapshot).get("tiny");
        assert.strictEqual(stats?.failed, 1);
      }),
    ),
  );

  it.effect("ends a cancelled generation with what it has", () =>
    withPipeline(["a", { pause: true }, "b"], () =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        const events = yield* generations.stream(task()).pipe(
          Stream.tap((event) =>
            event.type === "started"
              ? Effect.map(generations.cancel(event.generationId), (found) => assert.isTrue(found))
              : Effect.void,
          ),
          Stream.runCollect,
        );
        const last = events.at(-1);
        assert.strictEqual(last?.type === "finished" ? last.finishReason : "", "cancelled");
        assert.isFalse(yield* generations.cancel("gen_unknown"));
        const stats = (yield* (yield* Stats).snapshot).get("tiny");
        assert.strictEqual(stats?.cancelled, 1);
      }),
    ),
  );

  it.effect("queues over the engine's places and refuses over the queue's", () =>
    withPipeline([{ pause: true }, "a"], (engine) =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        const fibers = yield* Effect.all(
          Array.from({ length: 5 }, () => Effect.forkChild(Effect.exit(generations.run(task())))),
        );
        yield* TestClock.adjust("1 millis");
        const stats = (yield* (yield* Stats).snapshot).get("tiny");
        assert.deepInclude(stats, { running: 2, queued: 2 });
        yield* engine.resume;
        const exits = yield* Effect.forEach(fibers, Fiber.join);
        assert.strictEqual(exits.filter(Exit.isSuccess).length, 4);
        assert.match(String(exits[4]), /QueueFull|already wait/);
        yield* assertIdle;
      }),
    ),
  );

  it.effect(
    "counts no tokens of a prompt that no engine began: of one that is refused, and one that left while it waited",
    () =>
      withPipeline([{ pause: true }, "a"], (engine) =>
        Effect.gen(function* () {
          const generations = yield* Generations;
          const forked = Effect.forkChild(Effect.exit(generations.run(task())));
          const began = yield* Effect.all([forked, forked]);
          yield* TestClock.adjust("1 millis");
          const waiting = yield* Effect.all([forked, forked]);
          yield* TestClock.adjust("1 millis");
          yield* Effect.flip(generations.run(task()));
          yield* Effect.forEach(waiting, Fiber.interrupt);
          yield* engine.resume;
          yield* Effect.forEach(began, Fiber.join);
          const stats = (yield* (yield* Stats).snapshot).get("tiny");
          assert.deepInclude(stats, { succeeded: 2, refused: 1, cancelled: 2, promptTokens: 10 });
        }),
      ),
  );

  it.effect("counts a task as its prompt will be counted", () =>
    withPipeline([], () =>
      Effect.gen(function* () {
        const count = yield* (yield* Generations).count(task());
        assert.deepStrictEqual(count, {
          model: "tiny",
          promptTokens: 5,
          contextLength: 32,
          fits: true,
          maxOutputTokensLeft: 27,
        });
        const long = yield* (yield* Generations).count(task({ input: { type: "prompt", text: "a".repeat(40) } }));
        assert.deepInclude(long, { promptTokens: 40, fits: false, maxOutputTokensLeft: 0 });
      }),
    ),
  );
});
