/** What a package's entries export, as one text for each: a change of the API is then seen in the change of a file. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { Extractor, ExtractorConfig } from "@microsoft/api-extractor";

/** The reports of the compiled package in this folder, by the name of their file. */
export const apiReports = (root: string, folder: string): ReadonlyMap<string, string> => {
  const manifestPath = join(folder, "package.json");
  const { exports } = JSON.parse(readFileSync(manifestPath, "utf8")) as { exports: Record<string, unknown> };
  const declarations = Object.values(exports)
    .map((target) => (typeof target === "object" ? (target as { types: string }).types : ""))
    .filter((path) => path !== "" && !path.includes("*"));
  mkdirSync(join(root, ".cache"), { recursive: true });
  const reports = mkdtempSync(join(root, ".cache/api-report-"));
  try {
    return new Map(declarations.map((path) => reportOf(root, folder, manifestPath, path, reports)));
  } finally {
    rmSync(reports, { recursive: true, force: true });
  }
};

const reportOf = (root: string, folder: string, manifestPath: string, path: string, reports: string) => {
  // `./web.d.ts` is web.api.md, `./effect/index.d.ts` is effect.api.md.
  const name = `${basename(path.replace(/\/index\.d\.ts$/, "").replace(/\.d\.ts$/, ""))}.api.md`;
  const entry = join(folder, path);
  const quiet = { default: { logLevel: "none" as never } }; // the reports are what is wanted, not advice on comments
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: folder,
      mainEntryPointFilePath: entry,
      compiler: { overrideTsconfig: { compilerOptions: compilerOptions(root), files: [entry] } },
      apiReport: { enabled: true, reportFileName: name, reportFolder: reports, reportTempFolder: join(reports, "new") },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: { compilerMessageReporting: quiet, extractorMessageReporting: quiet, tsdocMessageReporting: quiet },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: manifestPath,
  });
  const problems: string[] = [];
  Extractor.invoke(config, {
    localBuild: true,
    messageCallback: (message) => {
      if (message.logLevel === "error") problems.push(message.text);
      message.handled = true;
    },
  });
  if (problems.length > 0) throw new Error(`no API report of ${path}: ${problems.join("; ")}`);
  return [name, readFileSync(join(reports, name), "utf8")] as const;
};

const compilerOptions = (root: string) => ({
  target: "ES2022",
  module: "NodeNext",
  moduleResolution: "NodeNext",
  lib: ["ES2024", "DOM", "DOM.Iterable", "DOM.AsyncIterable", "ESNext.Disposable"],
  strict: true,
  skipLibCheck: true,
  types: ["node"],
  typeRoots: [join(root, "node_modules/@types")],
});
