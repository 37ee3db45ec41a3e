/** The artefact: built, checked, and run where nothing else is. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, openSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";

import { buildArtefact } from "../artefact/build.ts";
import { ofSharedLibraries } from "../artefact/native-parts.ts";
import { isPermissive } from "../supply/licences.ts";
import { assertContents, assertSize, digestOf, fileSize, type Piece, type Release, run } from "./piece.ts";

export interface Served extends AsyncDisposable {
  readonly url: string;
  /** What its own command answers to this question. */
  readonly generate: (question: string) => Promise<string>;
}

export interface UnpackedArtefact extends Served {
  readonly piece: Piece;
}

export const releaseArtefact = async ({ root, version, folder, place }: Release): Promise<UnpackedArtefact> => {
  const platform = `${process.platform}-${process.arch}`;
  const name = `mlxd-${version}-${platform}`;
  await buildArtefact(root, join(root, "dist/mlxd"), { platform });
  const file = join(folder, `${name}.tar.gz`);
  const owned = ["--owner=0", "--group=0", "--numeric-owner", "--sort=name", "--mtime=@0"];
  await run("tar", [...(process.platform === "linux" ? owned : []), "-czf", file, "-C", join(root, "dist"), "mlxd"]);
  const { stdout } = await run("tar", ["-tzf", file], { maxBuffer: 16 * 1024 ** 2 });
  const needed = ["bin/mlxd", "lib/mlxd.js", "lib/service.js", "LICENSE", "THIRD-PARTY-LICENSES", "sbom.cdx.json"];
  assertContents(
    name,
    stdout.trim().split("\n"),
    needed.map((path) => `mlxd/${path}`),
  );
  assertSize(name, fileSize(file), 150);
  assertLicences(join(root, "dist/mlxd/sbom.cdx.json"));
  const home = join(place, "artefact");
  mkdirSync(home);
  await run("tar", ["-xzf", file, "-C", home]);
  const checked = ["contents", "licences", "size", "serves and answers from an empty folder"];
  const piece = { name: "artefact", file, bytes: fileSize(file), digest: await digestOf(file), checked };
  return { piece, ...(await serve(join(home, "mlxd"), home)) };
};

const assertLicences = (path: string): void => {
  interface Component {
    readonly name: string;
    readonly purl: string;
    readonly licenses?: ReadonlyArray<{ license?: { id: string }; expression?: string }>;
  }
  const { components } = JSON.parse(readFileSync(path, "utf8")) as { components: readonly Component[] };
  const unknown = components.filter(({ licenses = [] }) => {
    const named = licenses.map(({ license, expression }) => license?.id ?? expression ?? "");
    return named.length === 0 || !named.every((licence) => isPermissive(licence) || ofSharedLibraries.has(licence));
  });
  if (unknown.length > 0) throw new Error(`licences to look at: ${unknown.map(({ purl }) => purl).join(", ")}`);
};

/** Starts what was unpacked, with Node and the system's programs alone in its path. Its log is kept, and told if it ends too early. */
export const serve = async (artefact: string, home: string): Promise<Served> => {
  const env = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, HOME: home, MLXD_PORT: "0" };
  const command = join(artefact, "bin/mlxd");
  const log = join(home, "mlxd.log");
  const child = spawn(command, ["serve"], { cwd: home, env, stdio: ["ignore", "pipe", openSync(log, "w")] });
  const url = await readyUrl(child);
  if (url === undefined) throw new Error(`${command} ended before it was ready: ${readFileSync(log, "utf8").trim()}`);
  const generate = async (question: string): Promise<string> =>
    (await run(command, ["generate", question, "--temperature", "0", "--server", url], { cwd: home, env })).stdout;
  return {
    url,
    generate,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGTERM");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      if (child.exitCode !== 0) {
        throw new Error(`${command} ended with ${child.exitCode}: ${readFileSync(log, "utf8").trim()}`);
      }
    },
  };
};

/** Undefined where it ends before. */
const readyUrl = async (child: ChildProcess): Promise<string | undefined> => {
  if (child.stdout === null) return undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /ready at (http:\S+)/.exec(line)?.[1];
    if (url !== undefined) return url;
  }
  return undefined;
};
