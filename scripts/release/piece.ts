/** What a release consists of, and what is held of each part of it. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";

/** What the parts of one release share. */
export interface Release {
  readonly root: string;
  readonly version: string;
  readonly commit: string;
  /** Where what would be published is written. */
  readonly folder: string;
  /** An empty folder outside of the checkout, in which things are installed. */
  readonly place: string;
}

export interface Piece {
  readonly name: string;
  /** Its file, or an image's tag. */
  readonly file: string;
  readonly bytes: number;
  readonly digest: string;
  /** What was checked, in words. */
  readonly checked: readonly string[];
}

export const run = promisify(execFile);

export const fileSize = (path: string): number => statSync(path).size;

export const digestOf = async (path: string): Promise<string> => {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return `sha256:${hash.digest("hex")}`;
};

/** Nothing of this may be in what is published. */
const forbidden = /(^|\/)(\.env|\.git|\.npmrc|node_modules|[^/]*\.(key|test\.[jt]s))(\/|$)/;

/** @param paths of the files in it */
export const assertContents = (name: string, paths: readonly string[], needed: readonly string[]): void => {
  const wrong = paths.filter((path) => forbidden.test(path));
  if (wrong.length > 0) throw new Error(`${name} holds what is not to be published: ${wrong.join(", ")}`);
  const missing = needed.filter((path) => !paths.includes(path));
  if (missing.length > 0) throw new Error(`${name} lacks ${missing.join(", ")}`);
};

export const assertSize = (name: string, bytes: number, mostMb: number): void => {
  if (bytes > mostMb * 1e6) throw new Error(`${name} has ${(bytes / 1e6).toFixed(1)} MB, and may have ${mostMb}`);
};
