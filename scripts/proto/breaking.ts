// Exits with 1 when the .proto files break a caller of the API they are compared with, and with 77 (skipped) when there
// is nothing to compare with. A branch is compared with where it left main; main itself with its last commit
// (uncommitted work) and with the commit before (what that commit did, as CI sees it).
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const skipped = 77;
const watched = ["buf.yaml", "proto", "vendor"];

const git = (...args: string[]): string | undefined => {
  const { status, stdout } = spawnSync("git", args, { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
};
const commitOf = (ref: string) => git("rev-parse", "--verify", "--quiet", `${ref}^{commit}`);
const hasProtos = (commit: string) => watched.every((path) => git("cat-file", "-e", `${commit}:${path}`) !== undefined);

const baselines = (): { commits: string[]; reason: string } => {
  const head = commitOf("HEAD");
  if (!head) return { commits: [], reason: "there is no commit yet" };
  const main = commitOf("main") ?? commitOf("origin/main") ?? head;
  const base = git("merge-base", head, main) ?? head;
  const changed = git("status", "--porcelain", "--", ...watched) !== "";
  const commits = base !== head ? [base] : [changed ? head : undefined, commitOf("HEAD~1")];
  return {
    commits: commits.filter((commit) => commit !== undefined).filter(hasProtos),
    reason: "no change since the last commit, and the one before is not here (shallow clone) or has no .proto files",
  };
};

const compareWith = (commit: string): boolean => {
  const title = git("log", "-1", "--format=%h %s", commit) ?? commit;
  mkdirSync(".cache", { recursive: true });
  const folder = mkdtempSync(join(".cache", "breaking-"));
  try {
    // An archive instead of buf's own `.git#ref=`: that one needs a whole clone and does not work in a worktree.
    const archive = join(folder, "protos.tar");
    writeFileSync(archive, execFileSync("git", ["archive", commit, ...watched], { maxBuffer: 1 << 28 }));
    execFileSync("tar", ["xf", "protos.tar"], { cwd: folder });
    rmSync(archive);
    console.log(`compared with ${title}`);
    return spawnSync("node_modules/.bin/buf", ["breaking", "--against", folder], { stdio: "inherit" }).status === 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

const { commits, reason } = baselines();
if (commits.length === 0) {
  console.log(`nothing to compare with: ${reason}`);
  process.exitCode = skipped;
} else if (!commits.map(compareWith).every(Boolean)) process.exitCode = 1;
