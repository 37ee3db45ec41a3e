/** The client's packages, from its sources. */
import { rmSync } from "node:fs";
import { compile } from "./compile.ts";
import { stageSources } from "./stage-sources.ts";
import { writeJsrPackage, writeNpmPackage } from "./write-packages.ts";

/** Writes both packages into these folders, which are emptied before. */
export const buildClient = (root: string, npmFolder: string, jsrFolder: string): void => {
  const sources = stageSources(root);
  try {
    compile(root, sources, npmFolder);
    writeNpmPackage(root, npmFolder);
    writeJsrPackage(root, sources, jsrFolder);
  } finally {
    rmSync(sources, { recursive: true, force: true });
  }
};
