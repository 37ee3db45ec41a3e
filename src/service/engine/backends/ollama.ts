/** Ollama's own API beside OpenAI's: which models it has, fetching one, and having it give a model's memory back. */
import { createInterface } from "node:readline";
import { Effect, type Scope } from "effect";
import { Agent, type Dispatcher, request } from "undici";

import type { BackendSettings } from "../../config/read-backends.ts";
import { ModelNotFound } from "../../domain/errors.ts";
import type { ServedModel } from "../../domain/model.ts";
import { nearest } from "../../domain/nearest.ts";
import { apiHeaders } from "./api-headers.ts";
import type { BackendFailure } from "../Engine.ts";
import type { FetchProgress } from "../Engines.ts";
import { failureOf } from "./failure-of.ts";
import { AnswerUnreadable, BackendSays, StatusRefused } from "./problems.ts";

type Model = Pick<ServedModel, "id" | "source">;

/** False where it has the model already. Ollama goes on with what it has of it when this is interrupted and asked again. */
export const fetchFromOllama = (
  model: Model,
  backend: BackendSettings,
  onProgress: (progress: FetchProgress) => void,
): Effect.Effect<boolean, BackendFailure> =>
  Effect.scoped(
    Effect.gen(function* () {
      const ask = asking(model, backend, yield* agentFor(backend));
      const isThere = yield* ask(async (post) => {
        const response = await post("show", { model: model.source });
        if (response.statusCode === 404) {
          await response.body.dump();
          return false;
        }
        await assertOk(response);
        await response.body.dump();
        return true;
      });
      if (isThere) return false;
      const isFetched = yield* ask(async (post) => {
        const response = await post("pull", { model: model.source, stream: true });
        if (response.statusCode === 404) return false;
        await assertOk(response);
        return readPull(response.body, onProgress);
      });
      if (isFetched) return true;
      const there = yield* ask(async (_post, get) => namesIn(await get("tags")));
      return yield* new ModelNotFound({
        model: model.source,
        backend: backend.name,
        nearest: nearest(model.source, there),
      });
    }),
  );

/** It keeps a model for minutes after its last task otherwise. Where it does not answer there is nothing to give back. */
export const unloadFromOllama = (model: Model, backend: BackendSettings): Effect.Effect<void> =>
  Effect.scoped(
    Effect.gen(function* () {
      const ask = asking(model, backend, yield* agentFor(backend));
      yield* ask(async (post) => {
        const response = await post("generate", { model: model.source, keep_alive: 0 });
        await response.body.dump();
      });
    }),
  ).pipe(Effect.timeoutOption(unloadMs), Effect.ignore);

const unloadMs = 5_000;

type Response = Dispatcher.ResponseData;
type Post = (path: string, body: object) => Promise<Response>;
type Get = (path: string) => Promise<unknown>;

const asking =
  (model: Model, backend: BackendSettings, dispatcher: Dispatcher) =>
  <A>(exchange: (post: Post, get: Get) => Promise<A>): Effect.Effect<A, BackendFailure> =>
    Effect.tryPromise({
      try: (signal) => {
        const send = (path: string, body?: object) =>
          request(`${backend.baseUrl.replace(/\/v1$/, "")}/api/${path}`, {
            dispatcher,
            method: body === undefined ? "GET" : "POST",
            headers: { ...apiHeaders(backend), "content-type": "application/json" },
            ...(body !== undefined && { body: JSON.stringify(body) }),
            signal,
          });
        return exchange(send, async (path) => {
          const response = await send(path);
          await assertOk(response);
          return response.body.json();
        });
      },
      catch: (thrown) => failureOf(thrown, model, backend, false),
    });

const agentFor = ({ connectTimeoutMs, readTimeoutMs }: BackendSettings): Effect.Effect<Agent, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(
      () =>
        new Agent({
          connect: { timeout: connectTimeoutMs },
          headersTimeout: readTimeoutMs,
          bodyTimeout: readTimeoutMs,
        }),
    ),
    (agent) => Effect.promise(() => agent.destroy()),
  );

const assertOk = async ({ statusCode, body }: Response): Promise<void> => {
  if (statusCode === 200) return;
  throw new StatusRefused(statusCode, undefined, (await body.text()).slice(0, mostWords));
};

const mostWords = 64 * 1024;

/** A line for each step: of a layer its digest, its size and how much of it is there. False where there is no such model. */
const readPull = async (body: Response["body"], onProgress: (progress: FetchProgress) => void): Promise<boolean> => {
  const layers = new Map<string, { readonly total: number; readonly done: number }>();
  for await (const line of createInterface({ input: body })) {
    if (line.trim() === "") continue;
    const step = stepIn(line);
    if (typeof step["error"] === "string") {
      if (/does not exist|not found/i.test(step["error"])) return false;
      throw new BackendSays(line);
    }
    if (step["status"] === "success") return true;
    const { digest, total, completed } = step;
    if (typeof digest !== "string" || typeof total !== "number") continue;
    layers.set(digest, { total, done: typeof completed === "number" ? Math.min(completed, total) : 0 });
    const known = [...layers.values()];
    onProgress({
      bytesDone: known.reduce((sum, { done }) => sum + done, 0),
      bytesTotal: known.reduce((sum, layer) => sum + layer.total, 0),
      filesDone: known.filter((layer) => layer.done === layer.total).length,
      filesTotal: known.length,
    });
  }
  throw new AnswerUnreadable("it ends before the model is there");
};

const stepIn = (line: string): Readonly<Record<string, unknown>> => {
  try {
    const step: unknown = JSON.parse(line);
    if (typeof step === "object" && step !== null) return step as Readonly<Record<string, unknown>>;
  } catch {
    // It is told as any other line that is none.
  }
  throw new AnswerUnreadable("a line of it is no JSON object");
};

const namesIn = (tags: unknown): ReadonlyArray<string> => {
  const models = typeof tags === "object" && tags !== null && "models" in tags ? tags.models : undefined;
  if (!Array.isArray(models)) return [];
  return models.flatMap((model: unknown) =>
    typeof model === "object" && model !== null && "name" in model && typeof model.name === "string"
      ? [model.name]
      : [],
  );
};
