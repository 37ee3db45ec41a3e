/** The load generator: so many clients, each asking one thing after the other. */
import type { Request, RunningServer } from "./contender.ts";

export interface Load {
  readonly tokensPerSecond: number;
  /** Milliseconds to the first text, one for each request that got any. */
  readonly firstTextMs: ReadonlyArray<number>;
  readonly errors: number;
}

/** Sends all requests from `clients` clients and waits for the last answer. */
export const drive = async (
  server: RunningServer,
  requests: ReadonlyArray<Request>,
  clients: number,
): Promise<Load> => {
  const firstTextMs: number[] = [];
  let tokens = 0;
  let errors = 0;
  const queue = [...requests];
  const client = async (): Promise<void> => {
    for (let request = queue.shift(); request !== undefined; request = queue.shift()) {
      const started = performance.now();
      let first = true;
      try {
        const counted = await server.complete(request, () => {
          if (first) firstTextMs.push(performance.now() - started);
          first = false;
        });
        tokens += counted;
        if (counted !== request.maxTokens) errors += 1;
      } catch {
        errors += 1;
      }
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: clients }, client));
  return { tokensPerSecond: (1000 * tokens) / (performance.now() - started), firstTextMs, errors };
};

/** @param share 0.5 is the median */
export const percentile = (values: ReadonlyArray<number>, share: number): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
};

export const median = (values: ReadonlyArray<number>): number => percentile(values, 0.5);

/** A prompt of so many tokens, different for each seed. */
export const digits = (count: number, seed: number): string => {
  let state = seed + 1;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return String((state >>> 16) % 10);
  }).join("");
};
