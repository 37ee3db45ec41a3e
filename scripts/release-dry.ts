// npm run release:dry: builds what a release consists of, checks each part, installs it into an empty place and runs its first
// example there. What would be published is in dist/release afterwards; nothing is published, and no version changes.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

import about from "../package.json" with { type: "json" };
import { releaseArtefact } from "./release/artefact.ts";
import { changesOf } from "./release/changes.ts";
import { releaseClient } from "./release/client.ts";
import { releaseDeb } from "./release/deb.ts";
import { releaseImage } from "./release/image.ts";
import { type Piece, type Release, run } from "./release/piece.ts";

const root = join(import.meta.dirname, "..");
const folder = join(root, "dist/release");
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const place = mkdtempSync(join(tmpdir(), "mlxd-release-"));

const tell = (piece: Piece | string, name: string): Piece[] => {
  if (typeof piece === "string") {
    console.log(`skipped  ${name}: ${piece}`);
    return [];
  }
  console.log(`passed   ${piece.name} (${(piece.bytes / 1e6).toFixed(1)} MB): ${piece.checked.join(", ")}`);
  return [piece];
};

try {
  const commit = (await run("git", ["rev-parse", "HEAD"], { cwd: root })).stdout.trim();
  const release: Release = { root, version: about.version, commit, folder, place };
  const changes = await changesOf(release);
  console.log(`passed   changes: ${about.version} would become ${changes.version}`);
  writeFileSync(join(folder, "CHANGES.md"), `${changes.entry}\n`);
  const pieces: Piece[] = [];
  {
    await using artefact = await releaseArtefact(release);
    const told = await artefact.generate("What is 2+2?");
    if (!told.includes("4")) throw new Error(`the artefact told ${told}`);
    pieces.push(...tell(artefact.piece, "artefact"), ...tell(await releaseClient(release, artefact.url), "client"));
  }
  pieces.push(...tell(await releaseDeb(release), ".deb"), ...tell(await releaseImage(release), "image"));
  const sums = pieces
    .filter(({ file }) => existsSync(file))
    .map(({ digest, file }) => `${digest.slice(7)}  ${basename(file)}`);
  writeFileSync(join(folder, "SHA256SUMS"), `${sums.join("\n")}\n`);
  console.log(
    `${pieces.length} parts of ${about.version} are as they should be; what would be published is in ${folder}`,
  );
} catch (error) {
  // Of a program that failed, also what it printed: some say there what is wrong.
  const { message, stdout = "" } = error as Error & { readonly stdout?: string };
  console.log(`FAILED   ${`${message}\n${stdout}`.trim()}`);
  process.exitCode = 1;
} finally {
  rmSync(place, { recursive: true, force: true });
}
