/** The client's npm package: built, checked, and installed where nothing else is. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { publint } from "publint";

import { buildClient } from "../client/build.ts";
import { assertContents, assertSize, digestOf, fileSize, type Piece, type Release, run } from "./piece.ts";

/** @param url a service, which its first example calls */
export const releaseClient = async ({ root, folder, place }: Release, url: string): Promise<Piece> => {
  const built = join(root, "dist/client");
  buildClient(root, built, join(root, "dist/jsr"));
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", folder], { cwd: built });
  const [packed] = JSON.parse(stdout) as [{ filename: string; files: ReadonlyArray<{ path: string }> }];
  const file = join(folder, packed.filename);
  assertContents(
    "the client",
    packed.files.map(({ path }) => path),
    ["package.json", "LICENSE", "README.md", "node.js"],
  );
  assertSize("the client", fileSize(file), 2);
  const { messages } = await publint({ pkgDir: built, strict: true });
  if (messages.length > 0) throw new Error(`publint: ${JSON.stringify(messages)}`);
  await assertTypes(file);
  await runExample(file, join(place, "client"), url);
  const checked = ["contents", "size", "publint", "attw", "its first example, installed into an empty folder"];
  return { name: "client", file, bytes: fileSize(file), digest: await digestOf(file), checked };
};

const assertTypes = async (file: string): Promise<void> => {
  const analysis = await checkPackage(createPackageFromTarballData(new Uint8Array(readFileSync(file))));
  if (analysis.types === false) throw new Error("attw: it has no types");
  // It is made of modules alone, which Node 22 can `require`, and which resolution of Node 10 does not know.
  const others = analysis.problems.filter(
    (problem) =>
      problem.kind !== "CJSResolvesToESM" && !("resolutionKind" in problem && problem.resolutionKind === "node10"),
  );
  if (others.length > 0) throw new Error(`attw: ${JSON.stringify(others)}`);
};

/** The first one of the package's README. */
const runExample = async (file: string, folder: string, url: string): Promise<void> => {
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), '{"private":true,"type":"module"}');
  await run("npm", ["install", "--silent", "--ignore-scripts", "--prefer-offline", file, "@connectrpc/connect-node"], {
    cwd: folder,
  });
  const page = readFileSync(join(folder, "node_modules/@mlxd/client/README.md"), "utf8");
  const example = /^```ts[^\n]*\n(.*?)^```$/ms.exec(page)?.[1];
  if (example === undefined) throw new Error("the client's README has no example");
  writeFileSync(join(folder, "example.ts"), example.replaceAll("http://127.0.0.1:50051", url));
  const { stdout } = await run(process.execPath, ["example.ts"], { cwd: folder });
  if (!stdout.includes("4")) throw new Error(`the client's first example told ${stdout}`);
};
