import { existsSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import prebuilt from "../../../../binding/prebuilt/manifest.json" with { type: "json" };
import type { Core } from "./core.ts";

const root = fileURLToPath(new URL("../../../..", import.meta.url));

export interface OwnFiles {
  /** The addon for this platform; docs/engine.md explains how it is built. */
  readonly addon: string;
  /** Where scripts/with-mlx has put MLX's libraries. */
  readonly libraries: string;
}

/** The project's own binding. Throws one sentence, or the system's error, if it or MLX's library cannot be loaded. */
export const loadOwn = (files: OwnFiles = ownFiles): Core => {
  const { addon, libraries } = files;
  if (!existsSync(addon)) throw new Error(`mlxd has no binding for ${process.platform}-${process.arch}`);
  assertWhole(
    addon,
    prebuilt.files[addonName as keyof typeof prebuilt.files]?.bytes,
    "git checkout binding/prebuilt brings it back",
  );
  assertLibraries(libraries);
  const loaded = createRequire(import.meta.url)(addon) as Omit<Core, "binding" | "hasSoundKernels">;
  return Object.assign(loaded, { binding: "own", hasSoundKernels: true } as const);
};

export const addonName = `${process.platform}-${process.arch}.node`;

export const ownFiles: OwnFiles = {
  addon: join(root, "binding/prebuilt", addonName),
  libraries: join(root, `.cache/mlx-${prebuilt.mlx}`),
};

/** Loading a truncated library would end the process, so sizes are compared with the package's own list. */
const assertLibraries = (libraries: string): void => {
  const published = publishedFiles(libraries);
  if (published === undefined) throw new Error(`the libraries of MLX ${prebuilt.mlx} are not there: ${fetchAgain}`);
  for (const { path, bytes } of published) assertWhole(join(libraries, path), bytes, fetchAgain);
};

interface PublishedFile {
  /** Relative to the folder of the libraries. */
  readonly path: string;
  readonly sha256: Buffer;
  readonly bytes: number;
}

/** What the Python package lists of its libraries; undefined if it was not fetched for this platform. */
export const publishedFiles = (libraries: string): ReadonlyArray<PublishedFile> | undefined => {
  const package_ = process.platform === "darwin" ? "mlx_metal" : "mlx_cpu";
  const list = join(libraries, `${package_}-${prebuilt.mlx}.dist-info`, "RECORD");
  if (!existsSync(list)) return undefined;
  return readFileSync(list, "utf8")
    .split("\n")
    .flatMap((line) => {
      const [, path, hash = "", bytes] = /^([^,]+\.(?:so[.\d]*|dylib|metallib)),sha256=([^,]*),(\d+)/.exec(line) ?? [];
      return path === undefined ? [] : [{ path, sha256: Buffer.from(hash, "base64url"), bytes: Number(bytes) }];
    });
};

const fetchAgain = "scripts/with-mlx fetches them";

const assertWhole = (file: string, bytes: number | undefined, remedy: string): void => {
  const found = existsSync(file) ? statSync(file).size : 0;
  if (bytes === undefined || found === bytes) return;
  throw new Error(`${file.split("/").at(-1)} has ${found} bytes instead of ${bytes}: ${remedy}`);
};
