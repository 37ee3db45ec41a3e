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
