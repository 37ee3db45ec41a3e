/** Many callers at once, and callers that leave. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { ServerService } from "../../src/client/gen/mlxd/v1/server_service_pb.ts";
import { type RunningService, startService } from "../support/running-service.ts";

let service: RunningService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const clients = () => {
  const transport = createGrpcTransport({ baseUrl: service.url });
  return { generation: createClient(GenerationService, transport), server: createClient(ServerService, transport) };
};

const task = (seed: number, maxOutputTokens: number) => ({
  input: { case: "prompt", value: `${seed} and ` } as const,
  sampling: { temperature: 1, seed },
  stop: { ignoreEos: true, maxOutputTokens },
});

describe("under load", () => {
  it("runs 16 streams at once in less than half the time of 16 in a row", async () => {
    const { generation } = clients();
    const stream = async (seed: number): Promise<string> => {
      let text = "";
      for await (const { event } of generation.streamGenerate({ task: task(seed, 120) })) {
        if (event.case === "chunk") text += event.value.text;
      }
      return text;
    };
    const seeds = Array.from({ length: 16 }, (_, seed) => seed);
    await stream(99);
    // A ratio within one run, and the best of three: what else the machine does can only make it worse.
    let ratio = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 3 && ratio >= 0.5; round++) {
      const rowStart = performance.now();
      const inRow: string[] = [];
      for (const seed of seeds) inRow.push(await stream(seed));
      const rowMs = performance.now() - rowStart;
      const atOnceStart = performance.now();
      const atOnce = await Promise.all(seeds.map(stream));
      assert.deepStrictEqual(atOnce, inRow);
      ratio = Math.min(ratio, (performance.now() - atOnceStart) / rowMs);
    }
    assert.isBelow(ratio, 0.5);
  }, 120_000);

  it("holds nothing of 200 streams that were left half-way", async () => {
    const { generation, server } = clients();
    const leave = async (seed: number): Promise<void> => {
      const abort = new AbortController();
      let chunks = 0;
      try {
        for await (const { event } of generation.streamGenerate({ task: task(seed, 60) }, { signal: abort.signal })) {
          if (event.case === "chunk" && ++chunks > seed % 30) abort.abort();
        }
      } catch (cause) {
        if (!abort.signal.aborted) throw cause;
      }
    };
    await Promise.all(Array.from({ length: 200 }, (_, seed) => leave(seed)));
    for (let i = 0; i < 50; i++) {
      const { total } = await server.getStats({});
      if (total?.running === 0 && total.queued === 0) return;
      await sleep(100);
    }
    assert.fail("places are still taken 5 s after the last caller left");
  }, 120_000);
});
