/** Models of servers that speak OpenAI's chat completions, or Anthropic's messages. */
import { Deferred, Effect, Exit } from "effect";
import { Agent } from "undici";

import type { BackendSettings } from "../../config/read-backends.ts";
import {
  type BackendEngine,
  type BackendPreset,
  backendPresets,
  speaksMessages,
} from "../../domain/backend-presets.ts";
import { UnsupportedTask } from "../../domain/errors.ts";
import type { ChatInput, FinishReason } from "../../domain/generation.ts";
import type { ServedModel } from "../../domain/model.ts";
import type { ConversationEngine, ConversationRequest, EngineEvent, EngineFailure, EngineStatus } from "../Engine.ts";
import type { ConversationDriver } from "../Engines.ts";
import { MessageReading } from "../anthropic/MessageReading.ts";
import { messagesRequest } from "../anthropic/messages-request.ts";
import type { Reading } from "../backends/AnswerEvents.ts";
import { type Host, Hosts } from "../backends/Host.ts";
import { chatRequest } from "./chat-request.ts";
import { ChatReading } from "./ChatReading.ts";
import { failureOf } from "./failure-of.ts";
import { streamChat } from "./stream-chat.ts";

/** A driver for each engine that has a preset. Their models share their hosts. */
export const openAiDrivers = (): Readonly<Record<BackendEngine, ConversationDriver>> => {
  const hosts = new Hosts();
  const driverOf = ({ options }: BackendPreset): ConversationDriver => ({
    version: "",
    capabilities: { ...capabilities, tools: options.includes("chat.tools") },
    options: new Set(options),
    start: (model, backend) =>
      Effect.gen(function* () {
        const host = yield* hosts.join(backend);
        const agent = yield* Effect.acquireRelease(
          Effect.sync(() => agentOf(backend)),
          (pool) => Effect.promise(() => pool.destroy()),
        );
        return engineOf(model, backend, agent, host);
      }),
  });
  const drivers = Object.entries(backendPresets).map(([engine, preset]) => [engine, driverOf(preset)]);
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

/** Connections are pooled and go straight to the host, whatever the environment says of proxies. */
const agentOf = ({ connectTimeoutMs, readTimeoutMs }: BackendSettings): Agent =>
  new Agent({
    connect: { timeout: connectTimeoutMs },
    headersTimeout: readTimeoutMs,
    bodyTimeout: readTimeoutMs,
    pipelining: 1,
  });

const engineOf = (model: ServedModel, backend: BackendSettings, agent: Agent, host: Host): ConversationEngine => {
  const running = new Map<string, Deferred.Deferred<FinishReason>>();

  const exchange = (
    chat: ChatInput,
    request: ConversationRequest,
    reading: Reading,
    onEvent: (event: EngineEvent) => void,
  ): Effect.Effect<void, EngineFailure> => {
    const body = speaksMessages(backend.engine)
      ? messagesRequest(model.source, chat, request)
      : chatRequest(model.source, backend.engine, chat, request);
    const promptTokens = estimateTokens(chat);
    const { scheduling } = request;
    return host.run({ model: model.id, backend: backend.name, scheduling }, (onOutput) =>
      Effect.tryPromise({
        try: async (signal) => {
          const onTaken = () => onEvent({ type: "admitted", cachedPromptTokens: 0, promptTokens, estimated: true });
          const onData = (data: string) => {
            reading.read(data);
            if (reading.hasOutput) onOutput();
            return reading.isFinished;
          };
          await streamChat({ dispatcher: agent, backend, body, signal, onTaken, onData });
          reading.end();
        },
        catch: (thrown) => failureOf(thrown, model, backend, reading.hasOutput),
      }),
    );
  };

  return {
    converse: Effect.fnUntraced(function* (request, onEvent) {
      const { id, input: chat, timeBudgetMs } = request;
      if (chat.type !== "chat") return yield* Effect.die(new UnsupportedTask({ task: chat.type, model: model.id }));
      const ended = Deferred.makeUnsafe<FinishReason>();
      const reading = new (speaksMessages(backend.engine) ? MessageReading : ChatReading)({
        tools: chat.tools,
        estimatedPromptTokens: estimateTokens(chat),
        onEvent,
      });
      const budget =
        timeBudgetMs === undefined ? Effect.never : Effect.as(Effect.sleep(timeBudgetMs), "time-budget" as const);
      const early = Effect.raceFirst(Deferred.await(ended), budget);
      yield* Effect.acquireUseRelease(
        Effect.sync(() => running.set(id, ended)),
        () =>
          Effect.raceFirst(
            exchange(chat, request, reading, onEvent),
            Effect.map(early, (reason) => reading.finish(reason)),
          ),
        () => Effect.sync(() => running.delete(id)),
      );
    }),
    cancel: (id) => {
      const ended = running.get(id);
      return Effect.sync(() => ended !== undefined && Deferred.doneUnsafe(ended, Exit.succeed("cancelled" as const)));
    },
    health: host.health,
    failure: Effect.never,
    status: Effect.succeed(nothingHere),
  };
};

/** What its models take is the server's. */
const nothingHere: EngineStatus = {
  device: undefined,
  backend: undefined,
  residentBytes: 0,
  kvCacheBytes: 0,
  prefixCacheBytes: 0,
  mlxActiveBytes: 0,
  mlxCacheBytes: 0,
  mlxPeakBytes: 0,
  restarts: 0,
};

/** Four bytes a token, until the server tells how many there were. */
const estimateTokens = ({ messages, tools }: ChatInput): number =>
  Math.ceil(Buffer.byteLength(JSON.stringify([messages, tools])) / 4);
