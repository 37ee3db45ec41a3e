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
    const through = (model: string) => throughService(client, model);
    const straight = (model: string) => directly(direct, baseUrl, model);
    try {
      await through("quick");
      await straight("quick");
      const perSecond = await compareNumbers({
        workload: `W12, ${streams} streams`,
        metric: "pieces/s",
        ours: () => piecesPerSecond(() => through("paced")),
        peer: () => piecesPerSecond(() => straight("paced")),
        target: { least: 0.98 },
      });
      const added = await compareNumbers({
        workload: "W12, one call beside the 1 ms that it may cost",
        metric: "ms",
        ours: async () => (await msOfACall(() => through("quick"))) - (await msOfACall(() => straight("quick"))),
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

/** Reads one answer, and counts its pieces. */
type Read = () => Promise<number>;

const throughService = async (client: MlxdClient, model: string): Promise<number> => {
  let pieces = 0;
  for await (const { type } of client.stream("2+2?", { model, maxOutputTokens: piecesPerAnswer, flushTokens: 1 })) {
    if (type === "chunk") pieces += 1;
  }
  return pieces;
};

const directly = async (dispatcher: Agent, baseUrl: string, model: string): Promise<number> => {
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
      if (choices[0]?.delta.content !== undefined) pieces += 1;
    },
  });
  for await (const text of body.setEncoding("utf8")) parser.feed(String(text));
  return pieces;
};

const piecesPerSecond = async (read: Read): Promise<number> => {
  const started = performance.now();
  const counts = await Promise.all(Array.from({ length: streams }, read));
  const pieces = counts.reduce((sum, count) => sum + count, 0);
  // Pieces that come together may be told together.
  if (pieces === 0 || pieces > streams * piecesPerAnswer) throw new Error(`W12: ${pieces} pieces came`);
  return (1000 * streams * piecesPerAnswer) / (performance.now() - started);
};

/** The median of calls one after the other. */
const msOfACall = async (read: Read): Promise<number> => {
  const took: number[] = [];
  for (let count = 0; count < callsInARow; count++) {
    const started = performance.now();
    await read();
    took.push(performance.now() - started);
  }
  return took.toSorted((a, b) => a - b)[callsInARow / 2] ?? Number.NaN;
};
