/** A server of chat completions whose tokens cost nothing: `paced` answers at a pace, `quick` with one piece. Prints its port. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { paceMs, piecesPerAnswer } from "./paced-answers.ts";

const chunk = (delta: object, finishReason: string | null = null): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finishReason }] })}\n\n`;

const piece = chunk({ content: " word" });
const end = `${chunk({}, "stop")}data: [DONE]\n\n`;

/** Answers that are under way, and how many pieces each still gets. */
const running = new Map<ServerResponse, number>();

setInterval(() => {
  for (const [response, left] of running) {
    if (left === 0) {
      running.delete(response);
      response.end(end);
    } else {
      running.set(response, left - 1);
      response.write(piece);
    }
  }
}, paceMs);

const server = createServer((request, response) => {
  let body = "";
  request.setEncoding("utf8");
  request.on("data", (part: string) => (body += part));
  request.on("end", () => {
    const { model } = JSON.parse(body) as { readonly model: string };
    response.writeHead(200, { "content-type": "text/event-stream" });
    if (model === "quick") response.end(piece + end);
    else running.set(response, piecesPerAnswer);
    response.on("close", () => running.delete(response));
  });
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
