/** What the folder of a LoRA adapter says of it, without reading weights. */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";

import { readRequired } from "./checkpoint-files.ts";
import { readTensorHeaders } from "./safetensors.ts";

export interface AdapterFiles {
  /** Changes with the files. */
  readonly revision: string;
  /** Of memory, in an engine that has it. */
  readonly bytes: number;
}

/** As it is on disk now. Throws CheckpointInvalid, and the system's error where the folder cannot be read. */
export const readAdapter = async (directory: string): Promise<AdapterFiles> => {
  const config = await readRequired(directory, "adapter_config.json");
  const { raw, tensors } = await readTensorHeaders(directory, weightsFile);
  // Training goes on to other numbers in the same shapes.
  const { size, mtimeMs } = await stat(join(directory, weightsFile));
  const hash = createHash("sha256").update(config).update(raw);
  const numbers = [...tensors].map(([name, { shape }]) => heldAs(name) * shape.reduce((all, each) => all * each, 1));
  return {
    revision: hash.update(`${size} ${mtimeMs} ${directory}`).digest("hex").slice(0, 12),
    bytes: bytesPerFloat32 * numbers.reduce((all, each) => all + each, 0),
  };
};

const weightsFile = "adapters.safetensors";
const bytesPerFloat32 = 4;

/** An engine joins up to three layers and holds the B of each beside zeros for the others. */
const heldAs = (name: string): number => (name.endsWith(".lora_b") ? 3 : 1);
