/** One request for an answer over HTTP, and its stream of server-sent events, whatever form of API they have. */
import type { Readable } from "node:stream";
import { createParser } from "eventsource-parser";
import { type Dispatcher, request } from "undici";

import type { BackendSettings } from "../../config/read-backends.ts";
import { answerPath } from "../../domain/backend-presets.ts";
import { apiHeaders } from "./api-headers.ts";
import { AnswerUnreadable, shown, StatusRefused } from "./problems.ts";
import { beginningOf, decoded } from "./response-body.ts";
import { watchedBody } from "./watched-body.ts";

interface AnswerExchange {
  readonly dispatcher: Dispatcher;
  readonly backend: Pick<
    BackendSettings,
    "baseUrl" | "apiKey" | "engine" | "connectTimeoutMs" | "poolTimeoutMs" | "writeTimeoutMs"
  >;
  /** JSON. */
  readonly body: string;
  readonly signal: AbortSignal;
  /** The server has taken the request: its headers are there. */
  readonly onTaken: () => void;
  /** @returns whether the answer is complete; then nothing of it is read any more */
  readonly onData: (data: string) => boolean;
}

/**
 * Resolves at the end of the stream, or of the answer within it. No redirect is followed: it would carry the conversation
 * elsewhere. Rejects with StatusRefused, AnswerUnreadable, what `onData` throws, or what happened to the connection.
 */
export const streamAnswer = async (exchange: AnswerExchange): Promise<void> => {
  const { dispatcher, backend, body, onTaken, onData } = exchange;
  const late = new AbortController();
  const sent = watchedBody(body, backend, (reason) => late.abort(reason));
  const signal = AbortSignal.any([exchange.signal, late.signal]);
  const response = await request(`${backend.baseUrl}/${answerPath(backend.engine)}`, {
    dispatcher,
    method: "POST",
    headers: {
      ...apiHeaders(backend),
      accept: "text/event-stream",
      "content-type": "application/json",
      // Some servers read no body without it.
      "content-length": String(sent.bytes),
    },
    // undici takes any async iterable, which its type does not say.
    body: sent.pieces as unknown as Readable,
    signal,
  }).finally(sent.stop);
  const { statusCode, headers } = response;
  // Whoever reads it is told of its errors; where it is given up unread, an error that nobody heard would end the process.
  response.body.on("error", () => {});
  if (statusCode !== 200) throw new StatusRefused(statusCode, retryAfterMs(headers), await beginningOf(response.body));
  try {
    const [type] = [headers["content-type"]].flat();
    if (!/^text\/event-stream\b/i.test(type ?? "")) {
      throw new AnswerUnreadable(`its content type is ${shown(type ?? "none")}, not text/event-stream`);
    }
    onTaken();
    await readEvents(response.body, onData);
  } finally {
    // Of a connection with more to come nothing is used again; one whose answer was read to its end has been given back.
    response.body.destroy();
  }
};

const readEvents = async (body: Dispatcher.ResponseData["body"], onData: AnswerExchange["onData"]): Promise<void> => {
  let isComplete = false;
  let isTooLong = false;
  const parser = createParser({
    maxBufferSize: mostEventCharacters,
    onEvent: ({ data }) => {
      isComplete ||= onData(data);
    },
    onError: ({ type }) => {
      isTooLong ||= type === "max-buffer-size-exceeded";
    },
  });
  const feed = (text: string) => {
    parser.feed(text);
    if (isTooLong) throw new AnswerUnreadable(`an event of it is longer than ${mostEventCharacters} characters`);
  };
  for await (const text of decoded(body)) {
    feed(text);
    if (isComplete) {
      // What follows is the end of the response, after which its connection serves the next request.
      await body.dump({ limit: 1024, signal: AbortSignal.timeout(restMs) }).catch(() => undefined);
      return;
    }
  }
  // The last event may lack the empty line after it.
  feed("\n\n");
};

const mostEventCharacters = 1024 ** 2;
const restMs = 100;

/** As `Retry-After` (seconds or a date) or OpenAI's `retry-after-ms` says; an hour at most. */
const retryAfterMs = (headers: Dispatcher.ResponseData["headers"]): number | undefined => {
  const [exact] = [headers["retry-after-ms"]].flat();
  const [coarse] = [headers["retry-after"]].flat();
  const candidates = [
    Number(exact ?? Number.NaN),
    Number(coarse ?? Number.NaN) * 1000,
    Date.parse(coarse ?? "") - Date.now(),
  ];
  const found = candidates.find((ms) => Number.isFinite(ms) && ms >= 0);
  return found === undefined ? undefined : Math.min(Math.ceil(found), 3_600_000);
};
