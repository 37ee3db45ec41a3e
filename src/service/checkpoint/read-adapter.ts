/** Reads the facts of a LoRA adapter from its folder, without reading weights. */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";

import { readRequired } from "./checkpoint-files.ts";
import { readTensorHeaders } from "./safetensors.ts";

export interface AdapterFiles {
  /** Changes with the files. */
  readonly revision: string;
  /** Memory in an engine that has loaded it. */
  readonly bytes: number;
}

/** Reads the current files. Throws CheckpointInvalid, and the system's error if the folder cannot be read. */
export const readAdapter = async (directory: string): Promise<AdapterFiles> => {
  const config = await readRequired(directory, "adapter_config.json");
  const { raw, tensors } = await readTensorHeaders(directory, weightsFile);
  // Further training changes the numbers but not the shapes, so size and time of change are included.
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

/** An engine joins up to three layers, and pads the B of each with zeros for the others. */
const heldAs = (name: string): number => (name.endsWith(".lora_b") ? 3 : 1);
