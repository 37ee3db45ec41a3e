/**
 * What drafts gain: prompt lookup where a text repeats its prompt, and what it costs where it does not; a small model that
 * knows what the large one will say. The engine by itself.
 */
import { engineEnvironment } from "../../src/service/config/EngineConfig.ts";
import type { Bench } from "./against-peer.ts";
import { type CheckpointShape, circles, ensureCheckpoint, large, small } from "./checkpoints.ts";
import { startBareEngine, type Work } from "./engine-process.ts";
import { compareNumbers } from "./rounds.ts";

const texts = [
  { text: "repeats", circle: circles.short, target: { least: 1.2 } },
  { text: "wanders", circle: circles.long, target: { least: 0.97 } },
];

export const drafts = (model: CheckpointShape): Bench => ({
  name: `drafts ${model.name}`,
  run: async () => {
    const folder = ensureCheckpoint(counting(model));
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
          rows.push(...(await compareNumbers({ workload, metric: "tok/s", ours, peer, target })));
        }
      }
      return rows;
    } finally {
      drafting.stop();
      plain.stop();
    }
  },
});

export const draftModel: Bench = {
  name: `draft model ${small.name} for ${large.name}`,
  run: async () => {
    const [folder, draft] = [ensureCheckpoint(counting(large)), ensureCheckpoint(counting(small))];
    const drafting = await startBareEngine(folder, engineEnvironment(), "measured", draft);
    const plain = await startBareEngine(folder, engineEnvironment());
    try {
      const rows = [];
      for (const sequences of [1, 8]) {
        const work: Work = [sequences, 128, 256, circles.long];
        const workload = `${draftModel.name}, ${sequences === 1 ? "1 sequence" : `${sequences} sequences`}`;
        const ours = () => drafting.generate(work);
        const peer = () => plain.generate(work);
        rows.push(...(await compareNumbers({ workload, metric: "tok/s", ours, peer, target: { least: 1 } })));
      }
      return rows;
    } finally {
      drafting.stop();
      plain.stop();
    }
  },
};

const counting = (model: CheckpointShape): CheckpointShape => ({
  ...model,
  name: `${model.name}-counting`,
  counts: true,
});
