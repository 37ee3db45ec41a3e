/** W6 and W7: what the service costs on top of what it serves. And the engine alone against mlx-lm's own. */
import { createMlxdClient } from "../../src/client/node.ts";
import { engineEnvironment } from "../../src/service/config/EngineConfig.ts";
import type { Bench } from "./against-peer.ts";
import type { BenchModel } from "./bench-model.ts";
import { startBareEngine, startPeerEngine, type Work } from "./engine-process.ts";
import { mathEnvironment } from "./math-environment.ts";
import { digits, drive } from "./load.ts";
import { mlxd } from "./mlxd.ts";
import { compareNumbers } from "./rounds.ts";
import { streams, tokensPerStream } from "./scripted-messages.ts";
import { startProgram } from "./start-program.ts";

const sizes: ReadonlyArray<Work> = [
  [1, 64, 256],
  [8, 64, 256],
];

/** W6: the same sequences through the service and in the engine alone. */
export const throughService = (model: BenchModel): Bench => ({
  name: `W6 ${model.name}`,
  run: async () => {
    const engine = await startBareEngine(await model.ensure(), engineEnvironment());
    const service = await mlxd.start(model);
    try {
      const rows = [];
      for (const work of sizes) {
        const [sequences, promptTokens, maxTokens] = work;
        const workload = `W6 ${model.name}, ${sequences === 1 ? "1 sequence" : `${sequences} sequences`}`;
        const ours = async (round: number): Promise<number> => {
          const requests = Array.from({ length: sequences }, (_, index) => ({
            prompt: digits(promptTokens, 100 * (round + 1) + index),
            maxTokens,
          }));
          return (await drive(service, requests, sequences)).tokensPerSecond;
        };
        const bare = () => engine.generate(work);
        rows.push(...(await compareNumbers({ workload, metric: "tok/s", ours, peer: bare, target: { least: 0.97 } })));
      }
      return rows;
    } finally {
      await service.stop();
      engine.stop();
    }
  },
});

/**
 * The engine against mlx-lm's generate_step and BatchGenerator.
 *
 * @param kernels that both sides are told to use; by default those that the service chooses
 */
export const engineAlone = (model: BenchModel, kernels?: string): Bench => ({
  name: `engine ${nameWith(model, kernels)}`,
  run: async () => {
    const folder = await model.ensure();
    const engine = await startBareEngine(folder, { ...engineEnvironment(), ...mathEnvironment(kernels) });
    const other = await startPeerEngine(folder, kernels);
    try {
      const rows = [];
      for (const work of sizes) {
        const [sequences] = work;
        const workload = `engine ${nameWith(model, kernels)}, ${sequences === 1 ? "generate_step" : `BatchGenerator of ${sequences}`}`;
        const target = { least: sequences === 1 ? 1 : 1.15 };
        const ours = () => engine.generate(work);
        rows.push(
          ...(await compareNumbers({ workload, metric: "tok/s", ours, peer: () => other.generate(work), target })),
        );
      }
      return rows;
    } finally {
      engine.stop();
      other.stop();
    }
  },
});

const nameWith = (model: BenchModel, kernels: string | undefined): string =>
  kernels === undefined ? model.name : `${model.name} with ${kernels} kernels`;

/** W7: messages a second, with an engine that costs nothing, against a bare handler. */
export const messages: Bench = {
  name: "W7",
  run: async () => {
    const service = await startProgram("scripted-service.ts");
    const bare = await startProgram("bare-handler.ts");
    try {
      return await compareNumbers({
        workload: "W7",
        metric: "events/s",
        ours: () => messagesPerSecond(service.port),
        peer: () => messagesPerSecond(bare.port),
        target: { least: 0.6 },
      });
    } finally {
      service.child.kill("SIGKILL");
      bare.child.kill("SIGKILL");
    }
  },
};

export const messagesPerSecond = async (port: number): Promise<number> => {
  using client = createMlxdClient({ baseUrl: `http://127.0.0.1:${port}` });
  let events = 0;
  const read = async (): Promise<void> => {
    const task = {
      input: { case: "prompt", value: "1 2 3" },
      stop: { maxOutputTokens: tokensPerStream, ignoreEos: true },
    } as const;
    for await (const { event } of client.raw.generation.streamGenerate({ task }))
      if (event.case === "chunk") events += 1;
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: streams }, read));
  if (events !== streams * tokensPerStream) throw new Error(`W7: ${events} chunks came`);
  return (1000 * events) / (performance.now() - started);
};
