/**
 * A scripted model in your own process, for tests of code that uses the client. Calls go through the client's encoding, checks
 * and errors, but need neither a network nor a service.
 */
import { createRouterTransport, type HandlerContext } from "@connectrpc/connect";
import type { MlxdClient } from "../client.ts";
import type { ClientOptions } from "../client-options.ts";
import { createMlxdClientFromTransport } from "../create-client.ts";
import { EmbeddingService } from "../gen/mlxd/v1/embedding_service_pb.ts";
import { GenerationService } from "../gen/mlxd/v1/generation_service_pb.ts";
import { ModelService, ModelState } from "../gen/mlxd/v1/model_service_pb.ts";
import { TokenizerService } from "../gen/mlxd/v1/tokenizer_service_pb.ts";
import type { GenerationTask } from "../gen/mlxd/v1/types_pb.ts";
import { outcomeOf, type ScriptedAnswer, type ScriptedParts, streamed, whole } from "./answer.ts";
import { type AskedTask, askedTask } from "./asked-task.ts";

export * from "../index.ts";
export type { ScriptedAnswer, ScriptedError, ScriptedParts } from "./answer.ts";
export type { AskedMessage, AskedTask } from "./asked-task.ts";

/** A scripted model. */
export interface TestScript {
  /** The answers in order, the last of which is repeated; or a function of the task. */
  readonly answers: readonly ScriptedAnswer[] | ((task: AskedTask) => ScriptedAnswer | Promise<ScriptedAnswer>);
  /**
   * The model's name.
   * @default "test"
   */
  readonly model?: string | undefined;
}

/** A client of a scripted model. */
export interface TestClient {
  readonly client: MlxdClient;
  /** The tasks so far, in order; each item of a batch is one. */
  readonly asked: readonly AskedTask[];
}

/** The context length of the model. */
const contextLength = 4096;

/**
 * Makes a client of a scripted model: for generations, batches, objects, tools and conversations. It counts words as tokens,
 * returns the same embedding for the same text, and does not retry unless `options` say so.
 */
export const createTestClient = (script: TestScript, options: ClientOptions = {}): TestClient => {
  const { answers, model = "test" } = script;
  const asked: AskedTask[] = [];
  const answerTo = async (task: GenerationTask | undefined, { requestHeader }: HandlerContext) => {
    const about = askedTask(task, requestHeader);
    const number = asked.push(about);
    const scripted =
      typeof answers === "function" ? await answers(about) : answers[Math.min(number, answers.length) - 1];
    const answer: ScriptedParts = typeof scripted === "object" ? scripted : { text: scripted };
    return { answer, number };
  };
  const transport = createRouterTransport(({ service }) => {
    service(GenerationService, {
      generate: async ({ task }, context) => {
        const { answer, number } = await answerTo(task, context);
        return { result: await whole(answer, model, number, context) };
      },
      async *streamGenerate({ task }, context) {
        const { answer, number } = await answerTo(task, context);
        yield* streamed(answer, model, number, context);
      },
      async *batchGenerate({ items }, context) {
        const counts = { succeeded: 0, failed: 0 };
        for (const [index, { itemId, task }] of items.entries()) {
          const { answer, number } = await answerTo(task, context);
          const outcome = await outcomeOf(answer, model, number, context);
          counts[outcome.case === "result" ? "succeeded" : "failed"] += 1;
          yield { event: { case: "item", value: { itemId: itemId || String(index), index, outcome } } };
        }
        yield { event: { case: "summary", value: counts } };
      },
    });
    service(TokenizerService, {
      countTokens: ({ task }, { requestHeader }) => {
        const promptTokens = wordsOf(
          askedTask(task, requestHeader)
            .messages.map(({ text }) => text)
            .join(" "),
        );
        const maxOutputTokensLeft = Math.max(0, contextLength - promptTokens);
        return { model, promptTokens, contextLength, fits: maxOutputTokensLeft > 0, maxOutputTokensLeft };
      },
    });
    service(EmbeddingService, {
      embed: ({ inputs }) => ({
        model,
        embeddings: inputs.map(({ input }) => vectorOf(String(input.case === "text" ? input.value : input.value?.ids))),
        usage: { promptTokens: inputs.length },
        normalized: true,
      }),
    });
    const about = { id: model, state: ModelState.ACTIVE, contextLength };
    service(ModelService, { listModels: () => ({ models: [about] }), getModel: () => ({ model: about }) });
  });
  return { client: createMlxdClientFromTransport(transport, { retry: false, ...options }), asked };
};

const wordsOf = (text: string): number => text.split(/\s+/).filter((word) => word !== "").length;

/** A vector of length 1, the same for the same text. */
const vectorOf = (text: string) => {
  const values = [0, 0, 0, 0, 0, 0, 0, 1];
  for (let at = 0; at < text.length; at++) values[at % 8] = (values[at % 8] ?? 0) + text.charCodeAt(at);
  const length = Math.hypot(...values);
  return { values: values.map((value) => value / length), tokens: wordsOf(text) };
};
