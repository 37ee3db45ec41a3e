/** The drivers of backends: other servers, which implement OpenAI's chat completions or Anthropic's messages. */
import { Clock, Deferred, Effect, Exit } from "effect";

import type { BackendSettings } from "../../config/read-backends.ts";
import {
  answerPath,
  type BackendEngine,
  type BackendPreset,
  backendPresets,
  speaksMessages,
} from "../../domain/backend-presets.ts";
import { type ConversationOption, heededParameters } from "../../domain/conversation-options.ts";
import { elapsedMsUnsafe } from "../../domain/elapsed.ts";
import { EngineLost } from "../../domain/errors.ts";
import type { FinishReason } from "../../domain/generation-result.ts";
import type { ServedModel } from "../../domain/model.ts";
import type { ConversationEngine, ConversationRequest, EngineEvent } from "../Engine.ts";
import type { BackendFailure, EngineFailure } from "../engine-failures.ts";
import { noMemory } from "../EngineStatus.ts";
import type { ConversationDriver } from "../Engines.ts";
import { excludedByThinking } from "../anthropic/excluded-by-thinking.ts";
import { MessageReading } from "../anthropic/MessageReading.ts";
import { messagesRequest } from "../anthropic/messages-request.ts";
import { chatRequest } from "../openai/chat-request.ts";
import { ChatReading } from "../openai/ChatReading.ts";
import { textRequest } from "../openai/text-request.ts";
import type { AnswerReading } from "./AnswerReading.ts";
import { askAbilities } from "./ask-abilities.ts";
import { failureOf } from "./failure-of.ts";
import { Hosts } from "./Host.ts";
import { fetchFromOllama, unloadFromOllama } from "./ollama.ts";
import { managedPlace, type Place, type Reached, remotePlace } from "./Place.ts";
import { OptionRefused } from "./problems.ts";
import { refusedOption } from "./refused-option.ts";
import { RequestImages } from "./RequestImages.ts";
import { streamAnswer } from "./stream-answer.ts";
import { UnsupportedOptions } from "./UnsupportedOptions.ts";

/** A driver for each engine that has a preset. All their models share the same hosts. */
export const backendDrivers = (): Readonly<Record<BackendEngine, ConversationDriver>> => {
  const hosts = new Hosts();
  const driverOf = (engine: string, { options, images, hosted }: BackendPreset): ConversationDriver => ({
    version: "",
    capabilities: {
      ...capabilities,
      tools: options.includes("chat.tools"),
      logprobs: options.includes("output.top_logprobs"),
    },
    options: new Set(options),
    images,
    endsTurns: hosted === true,
    ...(engine === "ollama" && { fetch: fetchFromOllama }),
    start: (model, { managed, ...backend }, onStage) =>
      Effect.gen(function* () {
        const place = yield* managed === undefined
          ? remotePlace(backend, hosts)
          : managedPlace(model, { ...backend, managed }, onStage);
        if (engine === "ollama") yield* Effect.addFinalizer(() => unloadFromOllama(model, backend));
        const told = managed === undefined ? yield* askAbilities(model, backend) : [];
        const clock = yield* Clock.Clock;
        return engineOf(model, backend, place, new UnsupportedOptions(told, () => elapsedMsUnsafe(clock)));
      }),
  });
  const drivers = Object.entries(backendPresets).map(([engine, preset]) => [engine, driverOf(engine, preset)]);
  return Object.fromEntries(drivers) as Record<BackendEngine, ConversationDriver>;
};

const capabilities = {
  chat: true,
  tools: false,
  vision: false,
  logprobs: false,
  adapters: false,
  embeddings: false,
  constraints: [],
};

/** The body of the request, as JSON with the marks of its images. Tasks of a kind that the engine's API does not have are refused before. */
const bodyOf = (
  model: string,
  engine: BackendEngine,
  request: ConversationRequest,
  unsupported: ReadonlySet<ConversationOption>,
  images: RequestImages,
): string => {
  const { input } = request;
  if (input.type === "prompt") return textRequest(model, engine, input.text, request, unsupported);
  return speaksMessages(engine)
    ? messagesRequest(model, input, request, unsupported, images.add)
    : chatRequest(model, engine, input, request, unsupported, images.add);
};

/** One answer, as far as it was read. */
interface Answer {
  /** Done when the request has its permit: its time budget counts from then on. */
  readonly begun: Deferred.Deferred<void>;
  reading: AnswerReading;
  /** Starts again for the stream of another process, if nothing of this one was reported. */
  readonly startAnew: () => void;
}

const engineOf = (
  model: ServedModel,
  backend: BackendSettings,
  place: Place,
  unsupported: UnsupportedOptions,
): ConversationEngine => {
  const running = new Map<string, Deferred.Deferred<FinishReason>>();
  const preset = new Set<ConversationOption>(backendPresets[backend.engine].options);
  const excludedIn = (request: ConversationRequest): ReadonlySet<ConversationOption> =>
    speaksMessages(backend.engine) ? excludedByThinking(request) : new Set();

  const exchange = (
    request: ConversationRequest,
    answer: Answer,
    onEvent: (event: EngineEvent) => void,
  ): Effect.Effect<void, EngineFailure> => {
    const path = answerPath(backend.engine, request.input.type);
    const { scheduling, asked, parameters, promptCount } = request;
    let isAdmitted = false;
    const refusedHere = new Set<ConversationOption>();
    /** The defaults that are not sent. What the task sets is sent in any case, and never left out in silence. */
    const leftOut = () => unsupported.leftOut.union(excludedIn(request)).difference(asked).union(refusedHere);
    const onTaken = () => {
      // Reported once, even if the answer then comes from another process, and never after the end.
      if (!isAdmitted && !answer.reading.isFinished) {
        const out = leftOut();
        const sent = out.size > 0 && { parameters: heededParameters(parameters, preset.difference(out)) };
        const { tokens: promptTokens } = promptCount;
        // Pieces of output are counted, and not tokens, until the server reports those.
        onEvent({ type: "admitted", cachedPromptTokens: 0, promptTokens, estimated: true, ...sent });
      }
      isAdmitted = true;
    };
    return place.host.run({ model: model.id, backend: backend.name, scheduling }, (onOutput) => {
      Deferred.doneUnsafe(answer.begun, Exit.void);
      const onData = (data: string) => {
        const { reading } = answer;
        reading.read(data);
        if (reading.hasOutput) onOutput();
        return reading.isFinished;
      };
      const attempt = ({
        dispatcher,
        baseUrl,
      }: Pick<Reached, "dispatcher" | "baseUrl">): Effect.Effect<void, BackendFailure> =>
        Effect.suspend(() => {
          const images = new RequestImages();
          const json = bodyOf(model.source, backend.engine, request, leftOut(), images);
          return Effect.tryPromise({
            try: async (signal) => {
              const at = { dispatcher, backend: { ...backend, baseUrl }, path };
              await streamAnswer({ ...at, body: images.within(json), signal, onTaken, onData });
              answer.reading.end();
            },
            catch: (thrown) => (answer.reading.hasOutput ? undefined : refusedOption(thrown, json, asked)) ?? thrown,
          });
        }).pipe(
          Effect.catch((thrown) => {
            if (thrown instanceof OptionRefused) {
              const { option } = thrown;
              unsupported.learn(thrown);
              // A default of the model is left out; an option that the task sets is not.
              if (!asked.has(option) && !refusedHere.has(option)) {
                refusedHere.add(option);
                answer.startAnew();
                return Effect.suspend(() => attempt({ dispatcher, baseUrl }));
              }
            }
            return Effect.fail(failureOf(thrown, model, backend, answer.reading.hasOutput));
          }),
        );
      /** @param otherwise used if the server died during the request before any output was reported */
      const ask = (otherwise: Effect.Effect<void, EngineFailure>): Effect.Effect<void, EngineFailure> =>
        Effect.flatMap(place.reach, (at) =>
          attempt(at).pipe(
            Effect.catch((failure) =>
              Effect.flatMap(at.isGone(failure), (isGone) => {
                if (isGone && !answer.reading.hasOutput) return otherwise;
                // A server with HTTP/1.0 ends its answer by closing the connection, which is also what its death does.
                const isCut = isGone && failure._tag === "BackendProtocol";
                return Effect.fail(isCut ? new EngineLost({ model: model.id }) : failure);
              }),
            ),
          ),
        );
      const again = Effect.suspend(() => {
        answer.startAnew();
        return ask(Effect.fail(new EngineLost({ model: model.id, deaths: 2 })));
      });
      return ask(again);
    });
  };

  return {
    converse: Effect.fnUntraced(function* (request, onEvent) {
      const { id, input, timeBudgetMs, topLogprobs, asked, promptCount } = request;
      const [missing] = asked.intersection(unsupported.refused);
      if (missing !== undefined) {
        const refused = new OptionRefused(missing, "its model does not support it", "model");
        return yield* Effect.fail(failureOf(refused, model, backend, false));
      }
      const [excluded] = asked.intersection(excludedIn(request));
      if (excluded !== undefined) {
        const refused = new OptionRefused(excluded, "its models do not take it together with reasoning", "request");
        return yield* Effect.fail(failureOf(refused, model, backend, false));
      }
      const ended = Deferred.makeUnsafe<FinishReason>();
      const newReading = () =>
        new (speaksMessages(backend.engine) ? MessageReading : ChatReading)({
          tools: input.type === "chat" ? input.tools : [],
          topLogprobs,
          estimatedPromptTokens: promptCount.tokens,
          onEvent,
        });
      const answer: Answer = {
        begun: Deferred.makeUnsafe(),
        reading: newReading(),
        startAnew: () => void (answer.reading = newReading()),
      };
      const budget =
        timeBudgetMs === undefined
          ? Effect.never
          : Deferred.await(answer.begun).pipe(
              Effect.andThen(Effect.sleep(timeBudgetMs)),
              Effect.as("time-budget" as const),
            );
      const early = Effect.raceFirst(Deferred.await(ended), budget);
      yield* Effect.acquireUseRelease(
        Effect.sync(() => running.set(id, ended)),
        () =>
          Effect.raceFirst(
            exchange(request, answer, onEvent),
            Effect.map(early, (reason) => answer.reading.finish(reason)),
          ),
        () => Effect.sync(() => running.delete(id)),
      );
    }),
    cancel: (id) => {
      const ended = running.get(id);
      return Effect.sync(() => ended !== undefined && Deferred.doneUnsafe(ended, Exit.succeed("cancelled" as const)));
    },
    unsupported: () => unsupported.refused,
    health: place.host.health,
    failure: place.failure,
    status: Effect.sync(() => ({ ...noMemory, device: undefined, backend: undefined, ...place.status() })),
  };
};
