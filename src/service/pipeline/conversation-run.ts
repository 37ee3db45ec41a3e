/** Runs a task on an engine that takes conversations. Options that the engine does not support are refused by name. */
import { Clock, Effect, Random } from "effect";

import type { Allowance } from "../access/Allowance.ts";
import { fieldOf, heededParameters, imagesOf, optionsUsed, unheededOption } from "../domain/conversation-options.ts";
import { elapsedMsUnsafe } from "../domain/elapsed.ts";
import {
  type ContextLengthExceeded,
  InvalidField,
  ModelRevisionMismatch,
  UnsupportedParameter,
  UnsupportedTask,
} from "../domain/errors.ts";
import type { GenerationTask } from "../domain/generation-task.ts";
import { engineSchedulingOf } from "../domain/turn.ts";
import type { ConversationRequest } from "../engine/Engine.ts";
import type { ConversationModel } from "../models/Models.ts";
import { resolveParameters } from "../prompt/effective-parameters.ts";
import { allowedDefaults } from "./take-tokens.ts";
import { createJsonCheck, isJsonConstraint } from "../output/json-answer.ts";
import { candidateSeed } from "./candidate-seed.ts";
import { converseInJson, type JsonAsked } from "./converse-in-json.ts";
import type { PromptCount } from "./count-prompt.ts";
import { imageViolations } from "./image-violations.ts";
import { toolViolations } from "./prepare-prompt.ts";
import type { BegunRun, PreparedRun, RunOptions } from "./PreparedRun.ts";

type Refusal = ContextLengthExceeded | InvalidField | ModelRevisionMismatch | UnsupportedParameter | UnsupportedTask;

export const prepareConversationRun = Effect.fnUntraced(function* (
  task: GenerationTask,
  model: ConversationModel,
  isTrial: boolean,
  allowance: Allowance,
  count: Effect.Effect<PromptCount>,
): Effect.fn.Return<PreparedRun, Refusal> {
  const { facts, options } = model;
  const { input, modelRevision: asked, sampling, stop } = task;
  if (asked !== undefined && asked !== facts.revision) {
    return yield* new ModelRevisionMismatch({ model: facts.id, asked, loaded: facts.revision });
  }
  if (imagesOf(input).length > 0 && !options.has("chat.images")) {
    return yield* new UnsupportedTask({ task: "vision", model: facts.id });
  }
  const option = unheededOption(task, options);
  if (option !== undefined) {
    const hint =
      option === "chat.image_urls"
        ? "its server does not fetch images: send the bytes, or a data URL"
        : "its engine does not heed it";
    return yield* new UnsupportedParameter({ field: fieldOf(option), model: facts.id, hint });
  }
  if (input.type === "tokens" || (input.type === "chat" && !facts.capabilities.chat)) {
    return yield* new UnsupportedTask({ task: input.type, model: facts.id });
  }
  const violations = input.type === "chat" ? [...toolViolations(input), ...imageViolations(input)] : [];
  if (violations.length > 0) return yield* new InvalidField({ violations });
  const json = yield* jsonOf(task, facts.id);
  const randomSeed = yield* Random.nextIntBetween(0, 2 ** 32 - 1);
  // Only the engine knows the prompt's length, and it refuses a prompt that does not fit.
  const promptCount = yield* count;
  const countedPromptTokens = promptCount.tokens;
  const defaults = allowedDefaults(facts.defaults, allowance, countedPromptTokens, sampling);
  const resolved = resolveParameters({
    ...facts,
    defaults,
    eosTokenIds: [],
    sampling,
    stop,
    promptTokens: 0,
    randomSeed,
  });
  const { parameters: wanted } = yield* Effect.fromResult(resolved);
  const parameters = heededParameters(wanted, options);
  const requestsOf = ({ id, receivedAt }: RunOptions): ReadonlyArray<ConversationRequest> =>
    Array.from({ length: sampling.candidateCount ?? 1 }, (_, index) => ({
      id: `${id}/${index}`,
      input,
      parameters: { ...parameters, seed: candidateSeed(parameters.seed, index) },
      reasoning: task.reasoning,
      constraint: task.constraint,
      topLogprobs: task.output.topLogprobs,
      asked: optionsUsed(task),
      promptCount,
      timeBudgetMs: stop.timeBudgetMs,
      scheduling: engineSchedulingOf(task.scheduling, receivedAt),
    }));
  return {
    parameters,
    promptTokens: undefined,
    countedPromptTokens,
    echo: "",
    reasons: input.type === "chat",
    begin: (run) =>
      Effect.map(model.lease(isTrial), (engine): BegunRun => {
        const requests = requestsOf(run);
        return {
          cancel: Effect.map(
            Effect.forEach(requests, (request) => engine.cancel(request.id)),
            (found) => found.some(Boolean),
          ),
          run: (record) =>
            Effect.flatMap(Clock.Clock, (clock) =>
              Effect.forEach(
                requests,
                (request, index) =>
                  json === undefined
                    ? engine.converse(request, (event) => record.onEngineEvent(index, event, elapsedMsUnsafe(clock)))
                    : converseInJson({ model: facts.id, engine, request, index, record }, json),
                { concurrency: "unbounded", discard: true },
              ),
            ).pipe(Effect.as(undefined)),
        };
      }),
  };
});

/** Undefined if the task does not require JSON. */
const jsonOf = Effect.fnUntraced(function* (
  { constraint, input }: GenerationTask,
  model: string,
): Effect.fn.Return<JsonAsked | undefined, InvalidField | UnsupportedParameter> {
  if (!isJsonConstraint(constraint)) return undefined;
  if (input.type === "chat" && input.tools.length > 0 && input.toolChoice.mode !== "none") {
    const hint = "where tools are offered the output may be a call; leave them out or set tool_choice to MODE_NONE";
    return yield* new UnsupportedParameter({ field: "task.constraint", model, hint });
  }
  if (input.type !== "chat") {
    const hint = "a prompt cannot say what is asked for: make it a conversation";
    return yield* new UnsupportedParameter({ field: "task.constraint", model, hint });
  }
  const check = createJsonCheck(constraint);
  if (!("refused" in check)) return { constraint, check };
  const description = check.refused.slice(0, 500);
  return yield* new InvalidField({ violations: [{ field: "task.constraint.json_schema", description }] });
});
