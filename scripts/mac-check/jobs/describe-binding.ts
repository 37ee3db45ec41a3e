import { createHash } from "node:crypto";
import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

import { binding, device, mx } from "../../../src/service/worker/mlx.ts";

/** Which MLX runs, where, and what its files hash to. */
// oxlint-disable-next-line no-unused-vars -- every job is given settings
export const describeBinding = (_: object): Readonly<Record<string, string>> => ({
  binding: mx.binding,
  why: binding.reason,
  mlx: mx.version,
  device,
  ...Object.fromEntries(files().map((path) => [`sha256 of ${basename(path)}`, sha256(path)])),
});

const files = (): ReadonlyArray<string> => {
  const root = join(import.meta.dirname, "../../..");
  const patterns =
    mx.binding === "own"
      ? [`binding/prebuilt/${process.platform}-${process.arch}.node`, `.cache/mlx-${mx.version}/mlx/lib/*`]
      : ["node_modules/@frost-beta/mlx/build/Release/mlx.{node,metallib}"];
  return patterns
    .flatMap((pattern) => globSync(join(root, pattern)))
    .filter((path) => existsSync(path) && /\.(node|so|dylib|metallib)$/.test(path));
};

const sha256 = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");
