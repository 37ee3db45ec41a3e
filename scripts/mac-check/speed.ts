/** How fast one sequence is, by the length of its prompt; where it is asked for, beside mlx-lm in the same run. */
import { ensureCheckpoint, small } from "../bench/checkpoints.ts";
import { startPeerEngine } from "../bench/engine-process.ts";
import { ensurePeer } from "../bench/peer.ts";
import { inChild } from "./child.ts";
import type { Check, Options, Section } from "./section.ts";

/** A CPU takes minutes for the longer ones. */
const promptLengths = process.platform === "darwin" ? [512, 2_048, 4_096, 8_192, 16_384] : [512, 2_048, 4_096];

export const speed: Section = {
  name: "speed",
  run: async (options) => {
    const folder = options.modelFolder ?? ensureCheckpoint(small);
    return [...(await ours(folder)), ...(await theirs(folder, options))];
  },
};

const ours = async (folder: string): Promise<ReadonlyArray<Check>> => {
  const answer = await inChild("measureSpeed", { folder, promptLengths }, { timeoutMs: 120_000 });
  if (answer.type === "problem") return [{ name: "tokens a second", status: "failed", detail: answer.problem }];
  const { prefill, decode } = answer.value;
  return [
    { name: "prefill, tokens a second by prompt length", status: "passed", figures: rounded(prefill) },
    { name: "decode, tokens a second by prompt length", status: "passed", figures: rounded(decode) },
  ];
};

const theirs = async (folder: string, { withPeer }: Options): Promise<ReadonlyArray<Check>> => {
  const name = "mlx-lm, tokens a second by prompt length";
  if (!withPeer) return [{ name, status: "skipped", detail: "it is measured with --peer" }];
  const versions = ensurePeer();
  const peer = await startPeerEngine(folder);
  try {
    await peer.generate([1, 64, 16]);
    const figures: Record<string, number> = {};
    for (const promptTokens of promptLengths) {
      // It tells generated tokens a second.
      const firstSeconds = 1 / (await peer.generate([1, promptTokens, 1]));
      const allSeconds = 65 / (await peer.generate([1, promptTokens, 65]));
      figures[`prefill ${promptTokens}`] = promptTokens / firstSeconds;
      figures[`decode ${promptTokens}`] = 64 / Math.max(0.001, allSeconds - firstSeconds);
    }
    return [{ name, status: "passed", figures: { ...rounded(figures), versions } }];
  } finally {
    peer.stop();
  }
};

const rounded = (figures: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(figures).map(([key, value]) => [key, Number(value.toPrecision(4))]));
