import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { ConnectRouter, HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";

import {
  GenerationService,
  type StreamGenerateRequest,
  type StreamGenerateResponseSchema,
} from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { ModelService } from "../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { ServerService } from "../../src/client/gen/mlxd/v1/server_service_pb.ts";
import { EmbeddingService } from "../../src/client/gen/mlxd/v1/embedding_service_pb.ts";
import { TokenizerService } from "../../src/client/gen/mlxd/v1/tokenizer_service_pb.ts";

/** A message of a generation's stream, as a script writes it. */
export type WireEvent = MessageInitShape<typeof StreamGenerateResponseSchema>;

/** One call as the server saw it. */
interface ScriptedCall {
  readonly method: string;
  readonly header: Headers;
  /** What was left of the caller's deadline when the call arrived. */
  readonly timeoutMs: number | undefined;
  /** Fires when the caller leaves, and, as in Connect, when the call has ended. */
  readonly signal: AbortSignal;
  /** Settles once the caller has left before the handler was done. */
  readonly left: Promise<void>;
}

/** A plain HTTP answer. */
interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body?: string;
  /** It breaks off after the headers. */
  readonly isCut?: boolean;
}

export interface Script {
  readonly httpVersion?: "1.1" | "2";
  /** Answers every request instead of the handlers below, as something between client and service may. */
  readonly answer?: (contentType: string) => Answer;
  readonly generate?: ServiceImpl<typeof GenerationService>["generate"];
  /** Its messages are sent as they stand; `call` is that call's record. */
  readonly stream?: (request: StreamGenerateRequest, context: HandlerContext) => AsyncIterable<WireEvent>;
  readonly batch?: ServiceImpl<typeof GenerationService>["batchGenerate"];
  readonly cancel?: ServiceImpl<typeof GenerationService>["cancelGeneration"];
  readonly embedding?: Partial<ServiceImpl<typeof EmbeddingService>>;
  readonly tokenizer?: Partial<ServiceImpl<typeof TokenizerService>>;
  readonly models?: Partial<ServiceImpl<typeof ModelService>>;
  /** Of the model service, beside `models`: the calls that stream. */
  readonly prepare?: ServiceImpl<typeof ModelService>["prepareModel"];
  readonly preload?: ServiceImpl<typeof ModelService>["preloadModels"];
  readonly server?: Partial<ServiceImpl<typeof ServerService>>;
}

export interface ScriptedServer extends AsyncDisposable {
  readonly url: string;
  /** In order of arrival. */
  readonly calls: readonly ScriptedCall[];
  /** Sockets accepted so far. */
  readonly connections: () => number;
  /** HTTP/2: how many streams each connection has had, in the order in which they were opened. */
  readonly streamsOf: () => readonly number[];
  /** HTTP/2: the code with which each stream was closed; 0 is in good order. */
  readonly closeCodes: readonly (number | undefined)[];
  /** The call of this number, once it has arrived. */
  readonly call: (index: number) => Promise<ScriptedCall>;
  /** Closes every socket, or resets it, and listens no more: what a killed process looks like. */
  readonly kill: (how?: "close" | "reset") => void;
  /** Says goodbye on every HTTP/2 connection: running calls may finish. */
  readonly goAway: () => void;
}

/** A server on a free port that plays a script; for tests of the client. */
export const startScriptedServer = async (script: Script): Promise<ScriptedServer> => {
  const calls: ScriptedCall[] = [];
  const waiting = new Map<number, (call: ScriptedCall) => void>();
  const note = (context: HandlerContext): { done: () => void } => {
    let done = false;
    const left = new Promise<void>((resolve) => {
      context.signal.addEventListener("abort", () => done || resolve(), { once: true });
    });
    const { signal, requestHeader: header } = context;
    const call: ScriptedCall = { method: context.method.name, header, timeoutMs: context.timeoutMs(), signal, left };
    calls.push(call);
    waiting.get(calls.length - 1)?.(call);
    return { done: () => void (done = true) };
  };

  const adapter = connectNodeAdapter({ routes: (router) => routes(router, script, note) });
  const { answer } = script;
  const server =
    script.httpVersion === "1.1"
      ? http.createServer((request, response) => {
          if (!answer) return adapter(request, response);
          const { status, headers, body, isCut } = answer(request.headers["content-type"] ?? "");
          response.writeHead(status, headers).flushHeaders();
          if (isCut) response.destroy();
          else response.end(body);
        })
      : http2.createServer((request, response) => {
          if (!answer) return adapter(request, response);
          const { status, headers, body, isCut } = answer(request.headers["content-type"] ?? "");
          response.stream.respond({ ":status": status, ...headers });
          if (isCut) response.stream.close(http2.constants.NGHTTP2_CANCEL);
          else response.stream.end(body);
        });
  const sockets = new Set<Socket>();
  const sessions = new Set<http2.ServerHttp2Session>();
  let connections = 0;
  server.on("connection", (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  const streams: number[] = [];
  server.on("session", (session: http2.ServerHttp2Session) => {
    sessions.add(session);
    const index = streams.push(0) - 1;
    session.on("stream", () => (streams[index] = (streams[index] ?? 0) + 1));
  });
  const closeCodes: (number | undefined)[] = [];
  server.on("stream", (stream: http2.ServerHttp2Stream) => {
    stream.once("close", () => closeCodes.push(stream.rstCode));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  const kill = (how: "close" | "reset" = "reset") => {
    server.close();
    for (const socket of sockets) {
      if (how === "reset") socket.resetAndDestroy();
      else socket.destroy();
    }
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    connections: () => connections,
    streamsOf: () => streams,
    closeCodes,
    call: async (index) => calls[index] ?? new Promise((resolve) => waiting.set(index, resolve)),
    kill,
    goAway: () => {
      for (const session of sessions) session.close();
    },
    [Symbol.asyncDispose]: async () => {
      const closed = server.listening ? once(server, "close") : undefined;
      kill();
      await closed;
    },
  };
};

/** Settles when the caller of this handler has left: what a handler that generates for ever waits for. */
export const untilLeft = (context: HandlerContext): Promise<void> =>
  new Promise((resolve) => {
    if (context.signal.aborted) resolve();
    else context.signal.addEventListener("abort", () => resolve(), { once: true });
  });

const routes = (router: ConnectRouter, script: Script, note: (context: HandlerContext) => { done: () => void }) => {
  const { generate, stream, batch, cancel, prepare, preload } = script;
  router.service(GenerationService, {
    ...(generate && { generate: noteUnary(generate, note) }),
    ...(stream && {
      async *streamGenerate(request: StreamGenerateRequest, context: HandlerContext) {
        const { done } = note(context);
        yield* stream(request, context);
        done();
      },
    }),
    ...(batch && {
      async *batchGenerate(request: Parameters<typeof batch>[0], context: HandlerContext) {
        const { done } = note(context);
        yield* batch(request, context);
        done();
      },
    }),
    ...(cancel && { cancelGeneration: noteUnary(cancel, note) }),
  });
  router.service(EmbeddingService, noteAll(script.embedding, note));
  router.service(TokenizerService, noteAll(script.tokenizer, note));
  router.service(ModelService, {
    ...noteAll(script.models, note),
    ...(prepare && {
      async *prepareModel(request: Parameters<typeof prepare>[0], context: HandlerContext) {
        const { done } = note(context);
        yield* prepare(request, context);
        done();
      },
    }),
    ...(preload && {
      async *preloadModels(request: Parameters<typeof preload>[0], context: HandlerContext) {
        const { done } = note(context);
        yield* preload(request, context);
        done();
      },
    }),
  });
  router.service(ServerService, noteAll(script.server, note));
};

type Unary<I, O> = (request: I, context: HandlerContext) => O | Promise<O>;

const noteUnary =
  <I, O>(handler: Unary<I, O>, note: (context: HandlerContext) => { done: () => void }): Unary<I, O> =>
  async (request, context) => {
    const { done } = note(context);
    try {
      return await handler(request, context);
    } finally {
      done();
    }
  };

const noteAll = <T extends object>(
  handlers: T | undefined,
  note: (context: HandlerContext) => { done: () => void },
): T =>
  Object.fromEntries(
    Object.entries(handlers ?? {}).map(([name, handler]) => [name, noteUnary(handler as Unary<never, never>, note)]),
  ) as T;
