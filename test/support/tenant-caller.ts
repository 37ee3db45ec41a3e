/**
 * A tenant's callers in a process of their own: `node tenant-caller.ts URL KEY`. Orders come over the process's channel,
 * and their answers go back over it.
 */
import { setPriority } from "node:os";

import { createMlxdClient, isMlxdError } from "../../src/client/node.ts";

export type Order =
  /** Answered with the milliseconds to the first text of each call, one after the other. */
  | { readonly type: "measure"; readonly calls: number }
  /** So many callers that call again at once, whatever they are told. Answered with "refused" once one of them was. */
  | { readonly type: "hammer"; readonly callers: number }
  /** Ends that. Answered with what the calls were answered, and how often. */
  | { readonly type: "stop" };

const [, , baseUrl = "", credentials = ""] = process.argv;
const prompt = { prompt: "What is 2+2?" };
const parameters = { maxOutputTokens: 2, temperature: 0 };
const client = createMlxdClient({ baseUrl, credentials, retry: false });

const measure = async (calls: number): Promise<ReadonlyArray<number>> => {
  const firstTextMs: number[] = [];
  for (let call = 0; call < calls; call++) {
    const began = performance.now();
    let first = Number.NaN;
    for await (const _ of client.stream(prompt, parameters).textDeltas()) {
      if (Number.isNaN(first)) first = performance.now() - began;
    }
    firstTextMs.push(first);
  }
  return firstTextMs;
};

/** Ends the callers, and gives what they were answered. */
let stop = async (): Promise<Readonly<Record<string, number>>> => ({});

const hammer = async (callers: number): Promise<void> => {
  // The callers of another machine would take none of this one's processors.
  setPriority(19);
  const leaving = new AbortController();
  const { signal } = leaving;
  const answers: Record<string, number> = {};
  await new Promise<void>((resolve) => {
    const call = async (): Promise<void> => {
      using own = createMlxdClient({ baseUrl, credentials, retry: false });
      while (!signal.aborted) {
        const answer = await own.generate(prompt, { ...parameters, signal }).then(
          () => "answered",
          (error: unknown) => (isMlxdError(error) ? error.reason : String(error)),
        );
        if (signal.aborted) return;
        answers[answer] = (answers[answer] ?? 0) + 1;
        if (answer === "QUOTA") resolve();
      }
    };
    const ended = Promise.all(Array.from({ length: callers }, call));
    stop = async () => {
      leaving.abort();
      await ended;
      return answers;
    };
  });
};

const obey = async (order: Order): Promise<unknown> => {
  if (order.type === "measure") return measure(order.calls);
  if (order.type === "stop") return stop();
  await hammer(order.callers);
  return "refused";
};

process.on("message", (order: Order) => void obey(order).then((answer) => process.send?.(answer)));
process.on("disconnect", () => process.exit());
process.send?.("ready");
