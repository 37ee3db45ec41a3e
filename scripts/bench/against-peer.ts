/** W1 to W5, W8 and W9: the same load on mlxd and on mlx_lm.server, in turns. */
import { type CheckpointShape, ensureCheckpoint } from "./checkpoints.ts";
import type { Contender, Request, RunningServer } from "./contender.ts";
import { digits, drive, type Load, median, percentile } from "./load.ts";
import { peakBytesDuring } from "./memory.ts";
import { mlxd } from "./mlxd.ts";
import { peer } from "./peer.ts";
import { compareInTurns, inTurns, type Measured, type Pair, pairRow } from "./rounds.ts";
import type { Row } from "./row.ts";

export interface Bench {
  readonly name: string;
  readonly run: (log: (line: string) => void) => Promise<ReadonlyArray<Row>>;
}

interface Servers {
  readonly ours: RunningServer;
  readonly peer: RunningServer;
}

const withServers = async <A>(model: CheckpointShape, use: (servers: Servers) => Promise<A>): Promise<A> => {
  ensureCheckpoint(model);
  const ours = await mlxd.start(model.name);
  try {
    const other = await peer.start(model.name);
    try {
      // The first request of each pays for what is made once.
      for (const server of [ours, other]) await drive(server, requests(2, 64, 8, -1), 2);
      return await use({ ours, peer: other });
    } finally {
      await other.stop();
    }
  } finally {
    await ours.stop();
  }
};

/** Runs `measure` on both, in turns. */
const measureInTurns = <A>(
  { ours, peer: other }: Servers,
  measure: (server: RunningServer, round: number) => Promise<A>,
): Promise<Measured<A>> =>
  inTurns(
    (round) => measure(ours, round),
    (round) => measure(other, round),
  );

const requests = (count: number, promptTokens: number, maxTokens: number, round: number): ReadonlyArray<Request> =>
  Array.from({ length: count }, (_, index) => ({
    prompt: digits(promptTokens, 1000 * (round + 2) + index),
    maxTokens,
  }));

const pick = <A>(pair: Measured<A>, get: (value: A) => number): Pair => ({
  ours: pair.ours.map(get),
  peer: pair.peer.map(get),
});

/** W1 to W3 and W9: clients that ask with 64 tokens for 64. */
export const clients = (model: CheckpointShape): Bench => ({
  name: `W1 W2 W3 W9 ${model.name}`,
  run: (log) =>
    withServers(model, async (servers) => {
      const measure = async (count: number, perClient: number) => {
        const pair = await measureInTurns(servers, async (server, round) => {
          let load: Load | undefined;
          const bytes = await peakBytesDuring(server.pids, async () => {
            load = await drive(server, requests(count * perClient, 64, 64, round), count);
          });
          if (load === undefined) throw new Error("nothing was measured");
          return { ...load, bytes };
        });
        log(`${count} clients done`);
        return pair;
      };
      const w1 = await measure(1, 6);
      const w2 = await measure(8, 3);
      const w3 = await measure(32, 2);
      const at = (workload: string) => `${workload} ${model.name}`;
      const errors = w3.ours.reduce((sum, load) => sum + load.errors, 0);
      return [
        pairRow(
          at("W1"),
          "tok/s",
          pick(w1, (load) => load.tokensPerSecond),
          { least: 1 },
        ),
        pairRow(
          at("W1"),
          "TTFT p50 ms",
          pick(w1, (load) => median(load.firstTextMs)),
          { most: 0.7 },
        ),
        pairRow(
          at("W2"),
          "tok/s",
          pick(w2, (load) => load.tokensPerSecond),
          { least: 1.3 },
        ),
        pairRow(
          at("W3"),
          "tok/s",
          pick(w3, (load) => load.tokensPerSecond),
          { least: 1.5 },
        ),
        pairRow(
          at("W3"),
          "TTFT p99 ms",
          pick(w3, (load) => percentile(load.firstTextMs, 0.99)),
          { most: 0.5 },
        ),
        {
          workload: at("W3"),
          metric: "errors",
          ours: errors,
          peer: w3.peer.reduce((sum, load) => sum + load.errors, 0),
          ratio: errors,
          target: "none of ours",
          ok: errors === 0,
        },
        pairRow(
          at("W9"),
          "peak resident MB in W3",
          pick(w3, (load) => load.bytes / 1e6),
          { most: 0.8 },
        ),
      ];
    }),
});

/** W4: 32 requests that share 1,024 tokens. */
export const sharedPrefix = (model: CheckpointShape): Bench => ({
  name: `W4 ${model.name}`,
  run: () =>
    withServers(model, async (servers) => {
      const pair = await measureInTurns(servers, (server, round) => {
        const prefix = digits(1024, 77 + round);
        const tails = requests(32, 32, 32, round);
        return drive(
          server,
          tails.map((tail) => ({ ...tail, prompt: prefix + tail.prompt })),
          8,
        );
      });
      return [
        pairRow(
          `W4 ${model.name}`,
          "TTFT p50 ms",
          pick(pair, (load) => median(load.firstTextMs)),
          { most: 0.5 },
        ),
      ];
    }),
});

/** W5: a running stream, and three prompts of 2,900 tokens one after the other. */
export const longPrompts = (model: CheckpointShape): Bench => ({
  name: `W5 ${model.name}`,
  run: () =>
    withServers(model, async (servers) => {
      const pair = await measureInTurns(servers, async (server, round) => {
        let last: number | undefined;
        let longest = 0;
        let began = (): void => {};
        const running = new Promise<void>((resolve) => (began = resolve));
        const leave = new AbortController();
        const request = { prompt: digits(64, round), maxTokens: 4000, signal: leave.signal };
        const stream = server.complete(request, () => {
          const now = performance.now();
          if (last !== undefined) longest = Math.max(longest, now - last);
          last = now;
          began();
        });
        await Promise.race([running, stream]); // a stream that fails never begins
        await drive(server, requests(3, 2900, 8, round), 1);
        leave.abort();
        await stream.catch(() => {});
        return longest;
      });
      return [pairRow(`W5 ${model.name}`, "longest gap ms", pair, { most: 0.1 })];
    }),
});

/** W8: from the start of the process to the first text. */
export const startUp = (model: CheckpointShape): Bench => ({
  name: `W8 ${model.name}`,
  run: async () => {
    ensureCheckpoint(model);
    const measure = async (contender: Contender): Promise<number> => {
      const started = performance.now();
      let seconds = Number.NaN;
      const server = await contender.start(model.name);
      await server.complete({ prompt: digits(64, 0), maxTokens: 4 }, () => {
        if (Number.isNaN(seconds)) seconds = (performance.now() - started) / 1000;
      });
      await server.stop();
      return seconds;
    };
    const row = await compareInTurns({
      workload: `W8 ${model.name}`,
      metric: "start to first text s",
      ours: () => measure(mlxd),
      peer: () => measure(peer),
      target: { most: 0.4 },
    });
    return [row];
  },
});
