/** Checks whether the files of mlxd's own binding are identical to the published ones. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

import prebuilt from "../../../../binding/prebuilt/manifest.json" with { type: "json" };
import type { MlxFileState } from "../protocol/mlx-description.ts";
import { addonName, type OwnFiles, ownFiles, publishedFiles } from "./own.ts";

/** The states of the addon and of MLX's libraries; there are none for libraries that were never fetched. */
export const fileStates = ({ addon, libraries }: OwnFiles = ownFiles): ReadonlyArray<MlxFileState> => {
  const published = prebuilt.files[addonName as keyof typeof prebuilt.files];
  const states = published === undefined ? [] : [stateOf(addon, Buffer.from(published.sha256, "hex"))];
  for (const { path, sha256 } of publishedFiles(libraries) ?? []) states.push(stateOf(join(libraries, path), sha256));
  return states;
};

const stateOf = (file: string, published: Buffer): MlxFileState => {
  const name = basename(file);
  if (!existsSync(file)) return { name, sha256: "", isPublished: false };
  const found = createHash("sha256").update(readFileSync(file)).digest();
  return { name, sha256: found.toString("hex"), isPublished: found.equals(published) };
};
