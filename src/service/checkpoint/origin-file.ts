/** The file in a downloaded model's folder that says where it came from. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Option, Schema } from "effect";

import { readOptional } from "./checkpoint-files.ts";

export const originFile = ".mlxd-origin.json";

const Origin = Schema.Struct({
  repository: Schema.String,
  commit: Schema.String,
});
export type Origin = typeof Origin.Type;

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Origin));

/** Undefined for a folder that this service has not downloaded. */
export const readOrigin = async (directory: string): Promise<Origin | undefined> => {
  const file = await readOptional(directory, originFile).catch(() => undefined);
  return Option.getOrUndefined(decode(file?.toString("utf8") ?? ""));
};

export const writeOrigin = (directory: string, origin: Origin): Promise<void> =>
  writeFile(join(directory, originFile), `${JSON.stringify(origin)}\n`);
