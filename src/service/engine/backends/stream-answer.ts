/** Sends one request over HTTP and reads its stream of server-sent events, for every form of API. */
import type { Readable } from "node:stream";
import { createParser } from "eventsource-parser";
import { type Dispatcher, request } from "undici";

import type { BackendSettings } from "../../config/read-backends.ts";
import { apiHeaders } from "./api-headers.ts";
import { AnswerUnreadable, shown, StatusRefused } from "./problems.ts";
import type { RequestBody } from "./RequestImages.ts";
import { beginningOf, decoded } from "./response-body.ts";
import { watchedBody } from "./watched-body.ts";

interface AnswerExchange {
  readonly dispatcher: Dispatcher;
  readonly backend: Pick<
    BackendSettings,
    "baseUrl" | "apiKey" | "engine" | "connectTimeoutMs" | "poolTimeoutMs" | "writeTimeoutMs"
  >;
  /** Below the URL of its API. */
  readonly path: string;
  readonly body: RequestBody;
  /** Of this exchange alone. */
  readonly signal: AbortSignal;
  /** The server has accepted the request: its response headers have arrived. */
  readonly onTaken: () => void;
  /** @returns whether the answer is complete; nothing more is then read */
  readonly onData: (data: string) => boolean;
}

/**
 * Resolves at the end of the stream, or of the answer within it. No redirect is followed: it would carry the conversation
 * elsewhere. Rejects with StatusRefused, AnswerUnreadable, what `onData` throws, or what happened to the connection.
 */
export const streamAnswer = async (exchange: AnswerExchange): Promise<void> => {
  const { dispatcher, backend, path, body, onTaken, onData } = exchange;
  // AbortSignal.any takes many times as long. The signal belongs to this exchange, so that the listener ends with it.
  const aborted = new AbortController();
  const leave = () => aborted.abort(exchange.signal.reason);
  exchange.signal.addEventListener("abort", leave, { once: true });
  if (exchange.signal.aborted) leave();
  const sent = watchedBody(body, backend, (reason) => aborted.abort(reason));
  const response = await request(`${backend.baseUrl}/${path}`, {
    dispatcher,
    method: "POST",
    headers: {
      ...apiHeaders(backend),
      accept: "text/event-stream",
      "content-type": "application/json",
      // Some servers do not read a body without it.
      "content-length": String(sent.bytes),
    },
    // undici accepts any async iterable, although its type does not say so.
    body: sent.pieces as unknown as Readable,
    signal: aborted.signal,
  }).finally(sent.stop);
  const { statusCode, headers } = response;
  // A reader receives errors by itself. But if the body is abandoned unread, an unhandled error event would end the
  // process.
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
    // A connection with unread data cannot be reused. One whose response was read to its end has already been returned
    // to the pool.
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
      // Reads the end of the response, so that the connection can serve the next request.
      await body.dump({ limit: 1024, signal: AbortSignal.timeout(restMs) }).catch(() => undefined);
      return;
    }
  }
  // The last event may lack the empty line after it.
  feed("\n\n");
};

const mostEventCharacters = 1024 ** 2;
const restMs = 100;

/** From `Retry-After` (seconds or a date) or OpenAI's `retry-after-ms`; at most an hour. */
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
