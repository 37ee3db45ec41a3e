/** What prompt lookup gains where a text repeats its prompt, and what it costs where it does not: the engine by itself. */
import { engineEnvironment } from "../../src/service/config/EngineConfig.ts";
import type { Bench } from "./against-peer.ts";
import { type CheckpointShape, circles, ensureCheckpoint } from "./checkpoints.ts";
import { startBareEngine, type Work } from "./engine-process.ts";
import { compareInTurns } from "./rounds.ts";

const texts = [
  { text: "repeats", circle: circles.short, target: { least: 1.2 } },
  { text: "wanders", circle: circles.long, target: { least: 0.97 } },
];

export const drafts = (model: CheckpointShape): Bench => ({
  name: `drafts ${model.name}`,
  run: async () => {
    const folder = ensureCheckpoint({ ...model, name: `${model.name}-counting`, counts: true });
    const drafting = await startBareEngine(folder, engineEnvironment(), "measured");
    const plain = await startBareEngine(folder, engineEnvironment());
    try {
      const rows = [];
      for (const { text, circle, target } of texts) {
        for (const sequences of [1, 8]) {
          const work: Work = [sequences, 128, 256, circle];
          const workload = `drafts ${model.name}, ${text}, ${sequences === 1 ? "1 sequence" : `${sequences} sequences`}`;
          const ours = () => drafting.generate(work);
          const peer = () => plain.generate(work);
          rows.push(await compareInTurns({ workload, metric: "tok/s", ours, peer, target }));
        }
      }
      return rows;
    } finally {
      drafting.stop();
      plain.stop();
    }
  },
});
