/** The licences of the packages that are in a bundle. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** @param modules files of the bundle, as the bundler names them */
export const licencesOf = (modules: ReadonlyArray<string>): string => {
  const folders = new Set(modules.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0] ?? []));
  const texts = [...folders].toSorted().map((folder) => {
    const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Readonly<Record<string, string>>;
    const { name, version, license } = about;
    if (typeof license !== "string") throw new Error(`${name} does not say which licence it has`);
    return `${name} ${version}, ${license}\n\n${licenceText(folder)}`;
  });
  return `${texts.join(`\n${"-".repeat(80)}\n\n`)}\n`;
};

const licenceText = (folder: string): string => {
  const file = readdirSync(folder).find((name) => /^(licen[cs]e|copying|notice)/i.test(name));
  return file === undefined ? "(its package has no text of it)" : readFileSync(join(folder, file), "utf8").trim();
};
