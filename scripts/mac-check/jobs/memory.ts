import { loadCheckpoint } from "../../../src/service/worker/checkpoint.ts";
import { collect, mx } from "../../../src/service/worker/mlx.ts";
import { BareEngine } from "./engine.ts";

export interface MemoryInput {
  readonly folder: string;
  readonly generations: number;
}

interface Bytes {
  /** Of arrays that are alive. */
  readonly active: number;
  /** Of freed buffers that MLX keeps. */
  readonly cached: number;
  readonly resident: number;
}

/** What generations leave behind: after a fifth of them, after all, and after a pause. */
export const useMemory = async ({ folder, generations }: MemoryInput) => {
  const engine = new BareEngine(await loadCheckpoint(folder));
  const run = async (count: number): Promise<Bytes> => {
    for (let done = 0; done < count; done += 4)
      await engine.generate({ sequences: 4, promptTokens: 120, maxTokens: 24 });
    await collect();
    return now();
  };
  const early = await run(generations / 5);
  const late = await run((generations * 4) / 5);
  mx.clearCache();
  await collect();
  return { early, late, idle: now() };
};

const now = (): Bytes => ({
  active: mx.getActiveMemory(),
  cached: mx.getCacheMemory(),
  resident: process.memoryUsage.rss(),
});
