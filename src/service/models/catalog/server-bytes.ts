/** What a server is likely to take that is started for a model, until it is measured. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** @param path of the model's folder or file, which need not be there: its server may fetch it by itself */
export const serverBytes = (path: string): number => processBytes + weightBytes(path);

/** Its program, caches and what a step computes. mlx_lm.server on a Linux CPU took 300 MiB beside a small model. */
const processBytes = 512 * 1024 ** 2;

/** What cannot be read counts as if it were not there: its server says what is wrong with it. */
const weightBytes = (path: string): number => {
  try {
    const found = statSync(path);
    if (!found.isDirectory()) return found.size;
    return readdirSync(path)
      .filter((name) => /\.(safetensors|gguf|npz|bin)$/.test(name))
      .reduce((sum, name) => sum + (statSync(join(path, name), { throwIfNoEntry: false })?.size ?? 0), 0);
  } catch {
    return 0;
  }
};
