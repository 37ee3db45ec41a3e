/** The drivers of backends: other servers, which implement OpenAI's chat completions or Anthropic's messages. */
import { Deferred, Effect, Exit } from "effect";

import type { BackendSettings } from "../../config/read-backends.ts";
import {
  type BackendEngine,
  type BackendPreset,
  backendPresets,
  speaksMessages,
} from "../../domain/backend-presets.ts";
import { EngineLost, UnsupportedTask } from "../../domain/errors.ts";
import type { ChatInput } from "../../domain/conversation.ts";
import type { FinishReason } from "../../domain/generation-result.ts";
import type { ServedModel } from "../../domain/model.ts";
import type { ConversationEngine, ConversationRequest, EngineEvent } from "../Engine.ts";
import type { EngineFailure } from "../engine-failures.ts";
import { noMemory } from "../EngineStatus.ts";
import type { ConversationDriver } from "../Engines.ts";
import { estimateTokens } from "../estimate-tokens.ts";
import { MessageReading } from "../anthropic/MessageReading.ts";
import { messagesRequest } from "../anthropic/messages-request.ts";
import { chatRequest } from "../openai/chat-request.ts";
import { ChatReading } from "../openai/ChatReading.ts";
import type { AnswerReading } from "./AnswerReading.ts";
import { failureOf } from "./failure-of.ts";
import { Hosts } from "./Host.ts";
import { fetchFromOllama, unloadFromOllama } from "./ollama.ts";
import { managedPlace, type Place, type Reached, remotePlace } from "./Place.ts";
import { streamAnswer } from "./stream-answer.ts";

/** A driver for each engine that has a preset. All their models share the same hosts. */
export const backendDrivers = (): Readonly<Record<BackendEngine, ConversationDriver>> => {
  const hosts = new Hosts();
  const driverOf = (engine: string, { options }: BackendPreset): ConversationDriver => ({
    version: "",
    capabilities: { ...capabilities, tools: options.includes("chat.tools") },
    options: new Set(options),
    ...(engine === "ollama" && { fetch: fetchFromOllama }),
    start: (model, { managed, ...backend }, onStage) =>
      Effect.gen(function* () {
        const place = yield* managed === undefined
          ? remotePlace(backend, hosts)
          : managedPlace(model, { ...backend, managed }, onStage);
        if (engine === "ollama") yield* Effect.addFinalizer(() => unloadFromOllama(model, backend));
        return engineOf(model, backend, place);
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

/** One answer, as far as it was read. */
interface Answer {
  /** Done when the request has its permit: its time budget counts from then on. */
  readonly begun: Deferred.Deferred<void>;
  reading: AnswerReading;
  /** Starts again for the stream of another process, if nothing of this one was reported. */
  readonly startAnew: () => void;
}

const engineOf = (model: ServedModel, backend: BackendSettings, place: Place): ConversationEngine => {
  const running = new Map<string, Deferred.Deferred<FinishReason>>();

  const exchange = (
    chat: ChatInput,
    request: ConversationRequest,
    answer: Answer,
    onEvent: (event: EngineEvent) => void,
  ): Effect.Effect<void, EngineFailure> => {
    const body = speaksMessages(backend.engine)
      ? messagesRequest(model.source, chat, request)
      : chatRequest(model.source, backend.engine, chat, request);
    const promptTokens = estimateTokens(chat);
    const { scheduling } = request;
    let isAdmitted = false;
    const onTaken = () => {
      // Reported once, even if the answer then comes from another process, and never after the end.
      if (!isAdmitted && !answer.reading.isFinished)
        onEvent({ type: "admitted", cachedPromptTokens: 0, promptTokens, estimated: true });
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
      const attempt = ({ dispatcher, baseUrl }: Reached) =>
        Effect.tryPromise({
          try: async (signal) => {
            await streamAnswer({ dispatcher, backend: { ...backend, baseUrl }, body, signal, onTaken, onData });
            answer.reading.end();
          },
          catch: (thrown) => failureOf(thrown, model, backend, answer.reading.hasOutput),
        });
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
      const { id, input: chat, timeBudgetMs } = request;
      if (chat.type !== "chat") return yield* Effect.die(new UnsupportedTask({ task: chat.type, model: model.id }));
      const ended = Deferred.makeUnsafe<FinishReason>();
      const newReading = () =>
        new (speaksMessages(backend.engine) ? MessageReading : ChatReading)({
          tools: chat.tools,
          estimatedPromptTokens: estimateTokens(chat),
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
            exchange(chat, request, answer, onEvent),
            Effect.map(early, (reason) => answer.reading.finish(reason)),
          ),
        () => Effect.sync(() => running.delete(id)),
      );
    }),
    cancel: (id) => {
      const ended = running.get(id);
      return Effect.sync(() => ended !== undefined && Deferred.doneUnsafe(ended, Exit.succeed("cancelled" as const)));
    },
    health: place.host.health,
    failure: place.failure,
    status: Effect.sync(() => ({ ...noMemory, device: undefined, backend: undefined, ...place.status() })),
  };
};
