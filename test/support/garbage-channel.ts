/** Loaded into an engine or a sandbox process by `--import`: the first thing that it writes to its channel is no message. */
import { writeSync } from "node:fs";

/** The channel of `fork`, the first descriptor after the standard ones. */
const channel = 3;

if (/(?:worker|lane)\/main\.ts$/.test(process.argv[1] ?? "")) {
  const noise = Buffer.from("....this is no form of V8's at all");
  noise.writeUInt32BE(noise.length - 4);
  writeSync(channel, noise);
}

export const garbageFirst = { NODE_OPTIONS: `--import ${import.meta.filename}` };
