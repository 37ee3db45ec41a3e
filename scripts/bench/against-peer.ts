/** W1 to W5, W8 and W9: the same load on mlxd and on mlx_lm.server, in turns. */
import type { BenchModel } from "./bench-model.ts";
import type { Contender, Request, RunningServer, StartOptions } from "./contender.ts";
import { digits, drive, type Load, median, percentile } from "./load.ts";
import { peakBytesDuring } from "./memory.ts";
import { builtMlxd, mlxd } from "./mlxd.ts";
import { peer } from "./peer.ts";
import { compare, compareNumbers, type RowOf } from "./rounds.ts";
import type { Row } from "./row.ts";

export interface Bench {
  readonly name: string;
  readonly run: (log: (line: string) => void) => Promise<ReadonlyArray<Row>>;
}

interface Servers {
  readonly ours: RunningServer;
  readonly peer: RunningServer;
}

const mebibyte = 1024 ** 2;

const withServers = async <A>(
  model: BenchModel,
  options: StartOptions,
  use: (servers: Servers) => Promise<A>,
): Promise<A> => {
  const ours = await mlxd.start(model, options);
  try {
    const other = await peer.start(model, options);
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
const compareServers = <A>(
  { ours, peer: other }: Servers,
  measure: (server: RunningServer, round: number) => Promise<A>,
  rows: ReadonlyArray<RowOf<A>>,
): Promise<ReadonlyArray<Row>> =>
  compare(
    (round) => measure(ours, round),
    (round) => measure(other, round),
    rows,
  );

export const requests = (
  count: number,
  promptTokens: number,
  maxTokens: number,
  round: number,
): ReadonlyArray<Request> =>
  Array.from({ length: count }, (_, index) => ({
    prompt: digits(promptTokens, 1000 * (round + 2) + index),
    maxTokens,
  }));

interface MeasuredLoad extends Load {
  /** The most that all processes had resident. */
  readonly peakBytes: number;
}

/** W1 to W3 and W9: clients that ask with 64 tokens for 64. Prompts never come again; both may keep as many bytes of them. */
export const clients = (model: BenchModel): Bench => ({
  name: `W1 W2 W3 W9 ${model.name}`,
  run: (log) =>
    withServers(model, { promptCacheBytes: 128 * mebibyte }, async (servers) => {
      const measure = async (
        count: number,
        perClient: number,
        rows: ReadonlyArray<RowOf<MeasuredLoad>>,
      ): Promise<ReadonlyArray<Row>> => {
        const once = async (server: RunningServer, round: number): Promise<MeasuredLoad> => {
          let load: Load | undefined;
          const peakBytes = await peakBytesDuring(server.pids, async () => {
            load = await drive(server, requests(count * perClient, 64, 64, round), count);
          });
          if (load === undefined) throw new Error("nothing was measured");
          return { ...load, peakBytes };
        };
        const measured = await compareServers(
          servers,
          once,
          rows.map((row) => ({ ...row, workload: `${row.workload} ${model.name}` })),
        );
        log(`${count} clients done`);
        return measured;
      };
      const speed = { metric: "tok/s", pick: (load: MeasuredLoad) => load.tokensPerSecond };
      return [
        ...(await measure(1, 6, [
          { ...speed, workload: "W1", target: { least: 1 } },
          { workload: "W1", metric: "TTFT p50 ms", target: { most: 0.7 }, pick: (load) => median(load.firstTextMs) },
        ])),
        ...(await measure(8, 3, [{ ...speed, workload: "W2", target: { least: 1.3 } }])),
        ...(await measure(32, 2, [
          { ...speed, workload: "W3", target: { least: 1.5 } },
          {
            workload: "W3",
            metric: "TTFT p99 ms",
            target: { most: 0.5 },
            pick: (load) => percentile(load.firstTextMs, 0.99),
          },
          // One more than there were: a ratio needs something to divide by.
          { workload: "W3", metric: "errors + 1", target: { most: 1 }, pick: (load) => load.errors + 1 },
          {
            workload: "W9",
            metric: "peak resident MB in W3",
            target: { most: 0.8 },
            pick: (load) => load.peakBytes / 1e6,
          },
        ])),
      ];
    }),
});

/**
 * W4: 32 requests that share 1,024 tokens.
 *
 * @param promptCacheBytes that each side may keep of computed prompts; undefined: each its own default
 */
export const sharedPrefix = (model: BenchModel, promptCacheBytes?: number): Bench => {
  const name = `W4 ${model.name}${promptCacheBytes === undefined ? "" : `, ${promptCacheBytes / mebibyte} MiB of prompts each`}`;
  const options = promptCacheBytes === undefined ? {} : { promptCacheBytes };
  return {
    name,
    run: () =>
      withServers(model, options, (servers) =>
        compareServers(
          servers,
          (server, round) => {
            const prefix = digits(1024, 77 + round);
            const tails = requests(32, 32, 32, round);
            return drive(
              server,
              tails.map((tail) => ({ ...tail, prompt: prefix + tail.prompt })),
              8,
            );
          },
          [
            {
              workload: name,
              metric: "TTFT p50 ms",
              target: { most: 0.5 },
              pick: (load) => median(load.firstTextMs),
            },
          ],
        ),
      ),
  };
};

/** W5: a running stream, and three prompts of 2,900 tokens one after the other. */
export const longPrompts = (model: BenchModel): Bench => ({
  name: `W5 ${model.name}`,
  run: () =>
    withServers(model, {}, (servers) =>
      compareServers(servers, longestGap, [
        { workload: `W5 ${model.name}`, metric: "longest gap ms", target: { most: 0.1 }, pick: (gap) => gap },
      ]),
    ),
});

/** Milliseconds between two pieces of text of the stream. */
const longestGap = async (server: RunningServer, round: number): Promise<number> => {
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
};

/** W8: from the start of the process to the first text, of what is deployed. Files were read before, by both. */
export const startUp = (model: BenchModel): Bench => ({
  name: `W8 ${model.name}`,
  run: async () => {
    await model.ensure();
    const ours = await builtMlxd();
    const measure = async (contender: Contender): Promise<number> => {
      const started = performance.now();
      let seconds = Number.NaN;
      const server = await contender.start(model);
      await server.complete({ prompt: digits(64, 0), maxTokens: 4 }, () => {
        if (Number.isNaN(seconds)) seconds = (performance.now() - started) / 1000;
      });
      await server.stop();
      return seconds;
    };
    return await compareNumbers({
      workload: `W8 ${model.name}`,
      metric: "start to first text s",
      ours: () => measure(ours),
      peer: () => measure(peer),
      target: { most: 0.4 },
    });
  },
});
