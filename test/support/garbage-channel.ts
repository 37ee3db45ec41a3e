/**
 * Loaded into an engine or a sandbox process by `--import`: what it writes to its channel is no message, from the first on, or in one
 * that loads `?later`, once it gets SIGUSR2.
 */
import { writeSync } from "node:fs";

/** The channel of `fork`, the first descriptor after the standard ones. */
const channel = 3;

const writeNoise = (): void => {
  const noise = Buffer.from("....this is no form of V8's at all");
  noise.writeUInt32BE(noise.length - 4);
  writeSync(channel, noise);
};

if (/(?:worker|lane)\/main\.ts$/.test(process.argv[1] ?? "")) {
  if (import.meta.url.endsWith("?later")) process.on("SIGUSR2", writeNoise);
  else writeNoise();
}

export const garbageFirst = { NODE_OPTIONS: `--import ${import.meta.filename}` };
export const garbageOnSignal = { NODE_OPTIONS: `--import file://${import.meta.filename}?later` };
