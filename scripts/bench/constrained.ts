/** W10: what a constraint costs, at 8 sequences of one batch. */
import type { Bench } from "./against-peer.ts";
import type { BenchModel } from "./bench-model.ts";
import { digits, drive } from "./load.ts";
import { mlxd } from "./mlxd.ts";
import { compareNumbers } from "./rounds.ts";

/** It cannot be fulfilled in much fewer tokens than there are, and leaves nearly all of them to the model. */
const schema = { type: "array", items: { type: "string" }, minItems: 60 };

interface ConstrainedSize {
  readonly sequences: number;
  readonly promptTokens: number;
  readonly maxTokens: number;
}

/** The same requests with a constraint and without ("peer"). */
export const constrained = (
  model: BenchModel,
  { sequences, promptTokens, maxTokens }: ConstrainedSize = { sequences: 8, promptTokens: 64, maxTokens: 256 },
): Bench => ({
  name: `W10 ${model.name}`,
  run: async () => {
    const service = await mlxd.start(model);
    const speed = async (round: number, held: boolean): Promise<number> => {
      const requests = Array.from({ length: sequences }, (_, index) => ({
        prompt: digits(promptTokens, 100 * (round + 1) + index),
        maxTokens,
        ...(held && { schema }),
      }));
      return (await drive(service, requests, sequences)).tokensPerSecond;
    };
    try {
      // The grammar is compiled once, and the vocabulary sent: not for each of the requests.
      await speed(-1, true);
      const workload = `W10 ${model.name}, ${sequences} sequences held to a schema`;
      const ours = (round: number) => speed(round, true);
      const peer = (round: number) => speed(round, false);
      return await compareNumbers({ workload, metric: "tok/s", ours, peer, target: { least: 0.9 } });
    } finally {
      await service.stop();
    }
  },
});
