import { assert, describe, it } from "@effect/vitest";
import { Effect, Layer } from "effect";

import { ModelNotFound } from "../../../src/service/domain/errors.ts";
import type { GenerationInput } from "../../../src/service/domain/generation-task.ts";
import { type ModelInUse, Models } from "../../../src/service/models/Models.ts";
import { countPrompt } from "../../../src/service/pipeline/count-prompt.ts";
import { png } from "../../support/images.ts";
import { servedModel } from "../../support/served-model.ts";
import { chat, message } from "../../support/tasks.ts";

const facts = servedModel({ id: "far", source: "org/far", engine: "vllm" });
const encoded = (count: number) => ({ tokenIds: new Uint32Array(count), truncated: false });

/** Of a model in the folder that makes a prompt of 7 tokens of a conversation, and 3 of a text. */
const local = {
  takes: "tokens",
  texts: {
    encode: () => Effect.succeed([encoded(3)]),
    render: ({ tools }: { readonly tools: ReadonlyArray<unknown> }) =>
      Effect.succeed(tools.length > 0 ? { refused: "no tools", by: "template" } : { text: "", tokens: encoded(7) }),
  },
} as unknown as ModelInUse;

const counted = (input: GenerationInput, tokenizer?: string) =>
  Effect.gen(function* () {
    return yield* countPrompt(yield* Models, { input }, { facts, tokenizer });
  }).pipe(
    Effect.provide(
      Layer.mock(Models)({
        use: (name) =>
          name === "near" ? Effect.succeed(local) : Effect.fail(new ModelNotFound({ model: name, nearest: [] })),
      }),
    ),
  );

const question = chat(message("user", "2+2?"));

describe("the length of a prompt that another server makes", () => {
  it.effect("is exact with the tokenizer and the template of a model here", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* counted(question, "near"), { tokens: 7, estimated: false });
      assert.deepStrictEqual(yield* counted({ type: "prompt", text: "abc" }, "near"), { tokens: 3, estimated: false });
    }),
  );

  it.effect("is an estimate that says so without one, and where it does not read the prompt", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* counted(question), { tokens: 5, estimated: true });
      assert.deepInclude(yield* counted(question, "gone"), { estimated: true });
      const tools = [{ name: "f", description: "", parameters: undefined }];
      const withTools = question.type === "chat" ? { ...question, tools } : assert.fail();
      assert.deepInclude(yield* counted(withTools, "near"), { estimated: true });
      const pictured = chat({
        ...message("user", ""),
        content: [{ type: "image", source: { data: png }, mediaType: "" }],
      });
      assert.deepStrictEqual(yield* counted(pictured, "near"), { tokens: 260, estimated: true });
    }),
  );
});
