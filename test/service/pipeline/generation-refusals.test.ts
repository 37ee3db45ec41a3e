/** Tasks that are refused before their engine sees them. */
import { assert, describe, it } from "@effect/vitest";
import { Cause, Effect } from "effect";

import type { GenerationTask } from "../../../src/service/domain/generation-task.ts";
import { Generations } from "../../../src/service/pipeline/Generations.ts";
import { chat, facts, message, task } from "../../support/tasks.ts";
import { assertIdle, withPipeline, withTools } from "../../support/scripted-pipeline.ts";

describe("Generations", () => {
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
});
