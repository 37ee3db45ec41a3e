/** Answers HTTP/1.1 requests that Node's parser rejects, before the connection is closed. */
import { STATUS_CODES, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

interface Answer {
  readonly status: number;
  readonly message: string;
}

const tooLarge: Answer = { status: 431, message: "the request's headers are larger than 64 KiB" };
const tooSlow: Answer = { status: 408, message: "the request did not arrive in time" };
const unreadable: Answer = { status: 400, message: "this is no HTTP/1.1 request" };

const answers: Readonly<Record<string, Answer>> = { HPE_HEADER_OVERFLOW: tooLarge, ERR_HTTP_REQUEST_TIMEOUT: tooSlow };

/** Like Node's own answer, with an explanation. */
export const answerUnreadable = (error: NodeJS.ErrnoException, socket: Duplex): void => {
  // The response that is in progress on the connection; Node has no public name for it.
  const { _httpMessage: current } = socket as Duplex & { readonly _httpMessage?: ServerResponse };
  if (!socket.writable || current?.headersSent === true) return void socket.destroy();
  const { status, message } = answers[error.code ?? ""] ?? unreadable;
  const body = JSON.stringify({ code: status === 431 ? "resource_exhausted" : "invalid_argument", message });
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json\r\nConnection: close\r\n`;
  socket.end(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`, () => socket.destroy());
};
