/** Ollama's own API, for what OpenAI's lacks: listing models, fetching a model, and unloading one. */
import { Effect } from "effect";
import { type Dispatcher, request } from "undici";

import type { BackendSettings } from "../../config/read-backends.ts";
import { ModelNotFound } from "../../domain/errors.ts";
import type { ServedModel } from "../../domain/model.ts";
import { nearest } from "../../domain/nearest.ts";
import type { BackendFailure } from "../engine-failures.ts";
import type { FetchProgress } from "../Engines.ts";
import { apiHeaders } from "./api-headers.ts";
import { asObject, parseChunk } from "./chunk-values.ts";
import { connectionsTo } from "./connections.ts";
import { failureOf } from "./failure-of.ts";
import { AnswerUnreadable, BackendSays, StatusRefused } from "./problems.ts";
import { beginningOf, linesOf, shortText } from "./response-body.ts";

type Model = Pick<ServedModel, "id" | "source">;

/** False if Ollama already has the model. After an interruption, the next call resumes with what Ollama has so far. */
export const fetchFromOllama = (
  model: Model,
  backend: BackendSettings,
  onProgress: (progress: FetchProgress) => void,
): Effect.Effect<boolean, BackendFailure> =>
  Effect.scoped(
    Effect.gen(function* () {
      const ask = asking(model, backend, yield* connectionsTo(backend));
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
      // The list only helps somebody who mistyped a name.
      const there = yield* Effect.orElseSucceed(
        ask(async (_post, get) => namesIn(await get("tags"))),
        () => [],
      );
      return yield* new ModelNotFound({
        model: model.source,
        backend: backend.name,
        nearest: nearest(model.source, there),
      });
    }),
  );

/**
 * Without this, Ollama keeps a model in memory for minutes after its last task. If Ollama does not answer, there is
 * nothing to unload.
 */
export const unloadFromOllama = (model: Model, backend: BackendSettings): Effect.Effect<void> =>
  Effect.scoped(
    Effect.gen(function* () {
      const ask = asking(model, backend, yield* connectionsTo(backend));
      yield* ask(async (post) => {
        const response = await post("generate", { model: model.source, keep_alive: 0 });
        await response.body.dump();
      });
    }),
  ).pipe(Effect.timeoutOption(unloadMs), Effect.ignore);

const unloadMs = 5_000;

type Response = Dispatcher.ResponseData;
type Post = (path: string, body: object) => Promise<Response>;
type Get = (path: string) => Promise<Response>;

const asking =
  (model: Model, backend: BackendSettings, dispatcher: Dispatcher) =>
  <A>(exchange: (post: Post, get: Get) => Promise<A>): Effect.Effect<A, BackendFailure> =>
    Effect.tryPromise({
      try: (signal) => {
        const send = async (path: string, body?: object) => {
          const response = await request(`${backend.baseUrl.replace(/\/v1$/, "")}/api/${path}`, {
            dispatcher,
            method: body === undefined ? "GET" : "POST",
            headers: { ...apiHeaders(backend), "content-type": "application/json" },
            ...(body !== undefined && { body: JSON.stringify(body) }),
            signal,
          });
          // A body that is not read to its end is cut off together with the connections, which is not an error.
          response.body.on("error", () => {});
          return response;
        };
        return exchange(send, send);
      },
      catch: (thrown) => failureOf(thrown, model, backend, false),
    });

const assertOk = async ({ statusCode, body }: Response): Promise<void> => {
  if (statusCode !== 200) throw new StatusRefused(statusCode, undefined, await beginningOf(body));
};

/**
 * Ollama sends a line for each step; for a layer, its digest, its size and how much of it has arrived. False if there
 * is no such model.
 */
const readPull = async (body: Response["body"], onProgress: (progress: FetchProgress) => void): Promise<boolean> => {
  const layers = new Map<string, { readonly total: number; readonly done: number }>();
  for await (const line of linesOf(body)) {
    const step = parseChunk(line);
    if (typeof step["error"] === "string") {
      if (/does not exist|not found/i.test(step["error"])) return false;
      throw new BackendSays(line);
    }
    if (step["status"] === "success") return true;
    const { digest } = step;
    const total = bytesIn(step["total"]);
    if (typeof digest !== "string" || total === undefined) continue;
    layers.set(digest, { total, done: Math.min(bytesIn(step["completed"]) ?? 0, total) });
    if (layers.size > mostLayers) throw new AnswerUnreadable(`it tells of more than ${mostLayers} layers`);
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

/** Models have about five layers. */
const mostLayers = 1_024;

/** A plausible size of a layer, so that the sum of all layers is a safe integer, too. */
const bytesIn = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 2 ** 50 ? value : undefined;

const namesIn = async (response: Response): Promise<ReadonlyArray<string>> => {
  await assertOk(response);
  const { models } = parseChunk(await shortText(response.body));
  if (!Array.isArray(models)) return [];
  return models.map((model: unknown) => asObject(model)?.["name"]).filter((name) => typeof name === "string");
};
