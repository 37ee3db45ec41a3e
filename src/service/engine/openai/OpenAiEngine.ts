/** Models of servers that speak OpenAI's chat completions. */
import { Deferred, Effect, Exit, Stream } from "effect";
import { Agent } from "undici";

import type { BackendSettings } from "../../config/read-backends.ts";
import { type BackendEngine, type BackendPreset, backendPresets } from "../../domain/backend-presets.ts";
import { UnsupportedTask } from "../../domain/errors.ts";
import type { ChatInput, FinishReason } from "../../domain/generation.ts";
import type { ServedModel } from "../../domain/model.ts";
import type { ConversationEngine, ConversationRequest, EngineEvent, EngineFailure, EngineStatus } from "../Engine.ts";
import type { ConversationDriver } from "../Engines.ts";
import { chatRequest } from "./chat-request.ts";
import { ChatReading } from "./ChatReading.ts";
import { failureOf } from "./failure-of.ts";
import { HostGate } from "./HostGate.ts";
import { streamChat } from "./stream-chat.ts";

/** A driver for each engine that has a preset. Their models share the gates of their hosts. */
export const openAiDrivers = (): Readonly<Record<BackendEngine, ConversationDriver>> => {
  const gates = new Map<string, HostGate>();
  const gateOf = ({ baseUrl, permits }: BackendSettings): HostGate => {
    const { host } = new URL(baseUrl);
    const gate = gates.get(host) ?? new HostGate(permits);
    gate.limit(permits);
    gates.set(host, gate);
    return gate;
  };
  const driverOf = ({ options }: BackendPreset): ConversationDriver => ({
    version: "",
    capabilities: { ...capabilities, tools: options.includes("chat.tools") },
    options: new Set(options),
    start: (model, backend) =>
      Effect.map(
        Effect.acquireRelease(
          Effect.sync(() => agentOf(backend)),
          (agent) => Effect.promise(() => agent.destroy()),
        ),
        (agent) => engineOf(model, backend, agent, gateOf(backend)),
      ),
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

const engineOf = (model: ServedModel, backend: BackendSettings, agent: Agent, gate: HostGate): ConversationEngine => {
  const running = new Map<string, Deferred.Deferred<FinishReason>>();

  const exchange = Effect.fnUntraced(function* (
    chat: ChatInput,
    request: ConversationRequest,
    reading: ChatReading,
    onEvent: (event: EngineEvent) => void,
  ): Effect.fn.Return<void, EngineFailure> {
    const body = chatRequest(model.source, backend.engine, chat, request);
    const promptTokens = estimateTokens(chat);
    return yield* Effect.scoped(
      Effect.andThen(
        gate.permit(request.scheduling),
        Effect.tryPromise({
          try: async (signal) => {
            const onTaken = () => onEvent({ type: "admitted", cachedPromptTokens: 0, promptTokens });
            const onData = (data: string) => {
              reading.read(data);
              return reading.isFinished;
            };
            await streamChat({ dispatcher: agent, backend, body, signal, onTaken, onData });
            reading.end();
          },
          catch: (thrown) => failureOf(thrown, model, backend, reading.hasOutput),
        }),
      ),
    );
  });

  return {
    converse: Effect.fnUntraced(function* (request, onEvent) {
      const { id, input: chat, timeBudgetMs } = request;
      if (chat.type !== "chat") return yield* Effect.die(new UnsupportedTask({ task: chat.type, model: model.id }));
      const ended = Deferred.makeUnsafe<FinishReason>();
      const reading = new ChatReading({
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
    // Whether it answers is known of each task alone.
    health: Stream.concat(Stream.make("serving" as const), Stream.never),
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
