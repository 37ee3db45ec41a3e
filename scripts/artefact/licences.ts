/** The packages that are in a bundle, and their licences. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import type { NativePart } from "./native-parts.ts";

export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** As its package.json names it: an SPDX expression, mostly. */
  readonly license: string;
  readonly folder: string;
}

/** @param modules files of the bundle, as the bundler names them */
export const packagesOf = (modules: ReadonlyArray<string>): ReadonlyArray<BundledPackage> => {
  const folders = new Set(modules.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0] ?? []));
  return [...folders].toSorted().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as BundledPackage;
    if (typeof license !== "string") throw new Error(`${name} does not say which licence it has`);
    return { name, version, license, folder };
  });
};

/** What THIRD-PARTY-LICENSES holds. */
export const licencesOf = (packages: ReadonlyArray<BundledPackage>, native: ReadonlyArray<NativePart>): string => {
  const parts = [...packages.map((each) => ({ ...each, text: licenceText(each.folder) })), ...native];
  const texts = parts.map(({ name, version, license, text }) => `${name} ${version}, ${license}\n\n${text}`);
  return `${texts.join(`\n${"-".repeat(80)}\n\n`)}\n`;
};

const licenceText = (folder: string): string => {
  const file = readdirSync(folder).find((name) => /^(licen[cs]e|copying|notice)/i.test(name));
  return file === undefined ? "(its package has no text of it)" : readFileSync(join(folder, file), "utf8").trim();
};
