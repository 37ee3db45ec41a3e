/** A server that speaks as a test says, on a free port of this machine. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Effect, Redacted, type Scope } from "effect";

import type { BackendSettings } from "../../src/service/config/read-backends.ts";

interface ReceivedRequest {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  /** JSON. */
  readonly body: Readonly<Record<string, unknown>>;
}

export interface ScriptedBackend {
  readonly settings: BackendSettings;
  readonly requests: ReadonlyArray<ReceivedRequest>;
  readonly connections: () => { readonly made: number; readonly open: number };
}

type Answer = (response: ServerResponse, request: ReceivedRequest) => void | Promise<void>;

export const key = "sk-very-secret-0123456789";

/** The scope owns it. */
export const scriptedBackend = (
  answer: Answer,
  settings: Partial<BackendSettings> = {},
): Effect.Effect<ScriptedBackend, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const requests: ReceivedRequest[] = [];
        let made = 0;
        let open = 0;
        const server = createServer((request, response) => {
          const parts: Buffer[] = [];
          request.on("data", (part: Buffer) => parts.push(part));
          request.on("end", () => {
            const text = Buffer.concat(parts).toString();
            const body = (text === "" ? {} : JSON.parse(text)) as ReceivedRequest["body"];
            const received = { path: request.url ?? "", headers: request.headers, body };
            requests.push(received);
            void answer(response, received);
          });
        });
        server.on("connection", (socket) => {
          made += 1;
          open += 1;
          socket.on("close", () => (open -= 1));
        });
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        return { server, requests, connections: () => ({ made, open }) };
      }),
      ({ server }) =>
        Effect.promise(
          () =>
            new Promise<void>((resolve) => {
              server.close(() => resolve());
              server.closeAllConnections();
            }),
        ),
    ),
    ({ server, requests, connections }) => ({
      requests,
      connections,
      settings: {
        name: "attic",
        engine: "vllm",
        baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
        apiKey: Redacted.make(key),
        permits: 1,
        connectTimeoutMs: 60_000,
        readTimeoutMs: 60_000,
        writeTimeoutMs: 60_000,
        poolTimeoutMs: 60_000,
        probeIntervalMs: undefined,
        ...settings,
      },
    }),
  );

export const chunk = (delta: object, finishReason: string | null = null): string =>
  `data: ${JSON.stringify({ object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason: finishReason }] })}\n\n`;

const usageChunk = `data: ${JSON.stringify({
  choices: [],
  usage: { prompt_tokens: 11, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 4 } },
})}\n\n`;

export const four = [
  chunk({ role: "assistant", content: "" }),
  chunk({ content: "Fo" }),
  chunk({ content: "ur." }),
  chunk({}, "stop"),
  usageChunk,
  "data: [DONE]\n\n",
].join("");

export const beginStream = (response: ServerResponse): ServerResponse =>
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });

const event = (data: Readonly<Record<string, unknown>>): string =>
  `event: ${String(data["type"])}\ndata: ${JSON.stringify(data)}\n\n`;

/** How a server tells an answer in the form of its API. */
export interface WireForm {
  readonly path: string;
  /** The header with the key. */
  readonly keyHeader: readonly [name: string, value: string];
  /** A piece of the text "Four.", from the beginning of the stream. */
  readonly piece: string;
  /** All of it, with its counts: 11 tokens of prompt, 4 of them cached, and 3 of output. */
  readonly whole: string;
  /** An answer that ends in no way that there is. */
  readonly endless: string;
  readonly refused: string;
  readonly error: (type: string, message: string) => string;
}

const begun = [
  event({
    type: "message_start",
    message: { id: "msg_1", role: "assistant", content: [], usage: { input_tokens: 7, cache_read_input_tokens: 4 } },
  }),
  event({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }),
  event({ type: "ping" }),
].join("");

const textDelta = (text: string): string =>
  event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } });

const ended = (stopReason: string): string =>
  [
    event({ type: "content_block_stop", index: 0 }),
    event({
      type: "message_delta",
      delta: { stop_reason: stopReason, stop_sequence: null },
      usage: { output_tokens: 3 },
    }),
    event({ type: "message_stop" }),
  ].join("");

/** By an engine that speaks it. */
export const wireForms = {
  vllm: {
    path: "/v1/chat/completions",
    keyHeader: ["authorization", `Bearer ${key}`],
    piece: chunk({ content: "Fo" }),
    whole: four,
    endless: chunk({ content: "Fo" }),
    refused: `${chunk({ content: "Fo" })}${chunk({}, "content_filter")}data: [DONE]\n\n`,
    error: (type, message) => `data: ${JSON.stringify({ error: { type, message } })}\n\n`,
  },
  anthropic: {
    path: "/v1/messages",
    keyHeader: ["x-api-key", key],
    piece: `${begun}${textDelta("Fo")}`,
    whole: `${begun}${textDelta("Fo")}${textDelta("ur.")}${ended("end_turn")}`,
    endless: `${begun}${textDelta("Fo")}${event({ type: "message_stop" })}`,
    refused: `${begun}${textDelta("Fo")}${ended("refusal")}`,
    error: (type, message) => event({ type: "error", error: { type, message } }),
  },
} as const satisfies Readonly<Record<string, WireForm>>;
