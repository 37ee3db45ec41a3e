/** W12: what a task for a model on another server costs, against the same request sent to that server directly. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createParser } from "eventsource-parser";
import { Agent, request } from "undici";

import { createMlxdClient, type MlxdClient } from "../../src/client/node.ts";
import { startService } from "../../test/support/running-service.ts";
import type { Bench } from "./against-peer.ts";
import { endsWithUs } from "./ends-with-us.ts";
import { piecesPerAnswer } from "./paced-answers.ts";
import { compareNumbers } from "./rounds.ts";
import { startProgram } from "./start-program.ts";

const streams = 32;
const callsInARow = 100;
/** What a task may cost beside the direct request. */
const mostMs = 1;

export const throughBackend: Bench = {
  name: "W12",
  run: async () => {
    const server = await startProgram("paced-backend.ts");
    const folder = mkdtempSync(join(tmpdir(), "mlxd-bench-backend-"));
    mkdirSync(join(folder, "models"));
    const baseUrl = `http://127.0.0.1:${server.port}/v1`;
    const file = join(folder, "mlxd.yaml");
    writeFileSync(
      file,
      [
        "service: {models: models}",
        `backends: {paced: {engine: vllm, base_url: "${baseUrl}", permits: ${streams}}}`,
        "models:",
        "  paced: {backend: paced, model: paced, context_length: 4096}",
        "  quick: {backend: paced, model: quick, context_length: 4096}",
      ].join("\n"),
    );
    const service = await startService({
      MLXD_CONFIG: file,
      MLXD_LOG_LEVEL: "Warn",
      MLXD_MAX_RUNNING: String(streams),
    });
    endsWithUs(service.process);
    using client = createMlxdClient({ baseUrl: service.url });
    const direct = new Agent({ connections: streams, pipelining: 1 });
    const through = (onPieces: OnPieces) => throughService(client, onPieces);
    const straight = (onPieces: OnPieces) => directly(direct, baseUrl, "paced", onPieces);
    const call = () => unary(direct, service.url);
    const directCall = () => directly(direct, baseUrl, "quick", () => {});
    try {
      // What both sides load and compile first is not measured.
      for (let count = 0; count < callsInARow; count++) await call();
      await directCall();
      const perSecond = await compareNumbers({
        workload: `W12, ${streams} streams`,
        metric: "pieces/s",
        ours: () => piecesPerSecond(through),
        peer: () => piecesPerSecond(straight),
        target: { least: 0.98 },
      });
      const added = await compareNumbers({
        workload: "W12, one call beside the 1 ms that it may cost",
        metric: "ms",
        ours: async () => (await msOfACall(call)) - (await msOfACall(directCall)),
        peer: () => Promise.resolve(mostMs),
        target: { most: 1 },
      });
      return [...perSecond, ...added];
    } finally {
      await direct.destroy();
      await service.stop();
      server.child.kill("SIGKILL");
      rmSync(folder, { recursive: true });
    }
  },
};

/** Called with the number of pieces of an answer so far. */
type OnPieces = (pieces: number) => void;

const throughService = async (client: MlxdClient, onPieces: OnPieces): Promise<void> => {
  const options = { model: "paced", maxOutputTokens: piecesPerAnswer, flushTokens: 1 };
  for await (const event of client.stream("2+2?", options)) if (event.type === "chunk") onPieces(event.outputTokens);
};

/** A whole answer in one message, over the same kind of connection as the direct request. */
const unary = async (dispatcher: Agent, url: string): Promise<void> => {
  const messages = [{ role: "ROLE_USER", content: [{ text: "2+2?" }] }];
  const { statusCode, body } = await request(`${url}/mlxd.v1.GenerationService/Generate`, {
    dispatcher,
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ task: { model: "quick", chat: { messages }, stop: { maxOutputTokens: piecesPerAnswer } } }),
  });
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`W12: ${text}`);
};

const directly = async (dispatcher: Agent, baseUrl: string, model: string, onPieces: OnPieces): Promise<void> => {
  const messages = [{ role: "user", content: "2+2?" }];
  const { body } = await request(`${baseUrl}/chat/completions`, {
    dispatcher,
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, messages, stream: true, max_tokens: piecesPerAnswer }),
  });
  let pieces = 0;
  const parser = createParser({
    onEvent: ({ data }) => {
      if (data === "[DONE]") return;
      const { choices } = JSON.parse(data) as { readonly choices: ReadonlyArray<{ delta: { content?: string } }> };
      if (choices[0]?.delta.content !== undefined) onPieces((pieces += 1));
    },
  });
  for await (const text of body.setEncoding("utf8")) parser.feed(String(text));
};

/**
 * While all streams run: the server sets the pace, so that the service only has to keep up. What it costs to begin is the
 * other row.
 */
const piecesPerSecond = async (read: (onPieces: OnPieces) => Promise<void>): Promise<number> => {
  const counts = Array.from({ length: streams }, () => 0);
  const sum = () => counts.reduce((total, count) => total + count, 0);
  let from: { readonly at: number; readonly pieces: number } | undefined;
  let rate: number | undefined;
  const readers = counts.map((_, index) =>
    read((pieces) => {
      counts[index] = pieces;
      if (from === undefined && counts.every((count) => count > 0)) from = { at: performance.now(), pieces: sum() };
    }).then(() => {
      if (from === undefined) throw new Error("W12: a stream ended before all had begun");
      rate ??= (1000 * (sum() - from.pieces)) / (performance.now() - from.at);
    }),
  );
  await Promise.all(readers);
  if (sum() !== streams * piecesPerAnswer) throw new Error(`W12: ${sum()} pieces came`);
  return rate ?? Number.NaN;
};

/** The median of calls one after the other. */
const msOfACall = async (read: () => Promise<void>): Promise<number> => {
  const took: number[] = [];
  for (let count = 0; count < callsInARow; count++) {
    const started = performance.now();
    await read();
    took.push(performance.now() - started);
  }
  return took.toSorted((a, b) => a - b)[callsInARow / 2] ?? Number.NaN;
};
