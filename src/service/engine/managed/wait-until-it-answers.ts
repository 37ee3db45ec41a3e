/**
 * A server is ready when it has answered a conversation. An open port or a positive health check is not enough: some
 * servers have both before they have read the model, and after their generating thread has died.
 */
import { Data, Effect } from "effect";
import { type Dispatcher, request } from "undici";

import type { BackendSettings } from "../../config/read-backends.ts";
import { answerPath, type BackendPreset, backendPresets, speaksMessages } from "../../domain/backend-presets.ts";
import { apiHeaders } from "../backends/api-headers.ts";
import { shortText } from "../backends/response-body.ts";

export interface ProbedServer {
  readonly backend: Pick<BackendSettings, "baseUrl" | "apiKey" | "engine">;
  readonly dispatcher: Dispatcher;
  /** The model's name at the server. */
  readonly model: string;
}

/** The server answers, and waiting will not change the answer: it does not have the model, or cannot run it. */
export class ServerRefuses extends Data.TaggedError("ServerRefuses")<{
  readonly status: number;
  /** The beginning of its answer. */
  readonly words: string;
}> {}

/** The server does not answer yet. */
class NotYet extends Data.TaggedError("NotYet")<{}> {}

/** Completes when the port answers anything at all. */
export const untilItListens = (server: ProbedServer): Effect.Effect<void> =>
  patiently(Effect.asVoid(ask(server, "models")));

/** Completes when the server lists its models, or answers that it has no such list. */
export const untilItServes = (server: ProbedServer): Effect.Effect<void> =>
  patiently(Effect.flatMap(ask(server, "models"), ({ status }) => (status < 500 ? Effect.void : notYet)));

/** Completes when the model has generated a token. */
export const untilItAnswers = (server: ProbedServer): Effect.Effect<void, ServerRefuses> =>
  patiently(
    Effect.flatMap(
      ask(server, answerPath(server.backend.engine, "chat"), questionFor(server)),
      ({ status, body }): Effect.Effect<void, NotYet | ServerRefuses> => {
        if (isBusy(status)) return notYet;
        return status === 200 && isAnswer(body, server)
          ? Effect.void
          : Effect.fail(new ServerRefuses({ status, words: body }));
      },
    ),
  );

const notYet = Effect.fail(new NotYet());

const patiently = <E>(trial: Effect.Effect<void, E>): Effect.Effect<void, Exclude<E, NotYet>> =>
  trial.pipe(
    Effect.catch((error) =>
      error instanceof NotYet
        ? Effect.andThen(
            Effect.sleep(pollMs),
            Effect.suspend(() => patiently(trial)),
          )
        : Effect.fail(error as Exclude<E, NotYet>),
    ),
  );

const pollMs = 100;

/** Statuses while a model is being read, or from a proxy whose server is not up yet. */
const isBusy = (status: number): boolean => status === 429 || status === 502 || status === 503 || status === 504;

const questionFor = ({ backend, model }: ProbedServer): string =>
  JSON.stringify({
    model,
    messages: [{ role: "user", content: "1" }],
    stream: false,
    temperature: 0,
    [(backendPresets[backend.engine] as BackendPreset).outputLimit]: 1,
  });

const isAnswer = (body: string, { backend }: ProbedServer): boolean => {
  try {
    const { choices, content } = JSON.parse(body) as { readonly choices?: unknown; readonly content?: unknown };
    if (speaksMessages(backend.engine)) return Array.isArray(content);
    return Array.isArray(choices) && choices.length > 0;
  } catch {
    return false;
  }
};

const ask = ({ backend, dispatcher }: ProbedServer, path: string, body?: string) =>
  Effect.tryPromise({
    try: async (signal) => {
      const response = await request(`${backend.baseUrl}/${path}`, {
        dispatcher,
        method: body === undefined ? "GET" : "POST",
        headers: { ...apiHeaders(backend), "content-type": "application/json" },
        ...(body !== undefined && { body }),
        signal,
      });
      response.body.on("error", () => {});
      return { status: response.statusCode, body: await shortText(response.body) };
    },
    catch: () => new NotYet(),
  });
