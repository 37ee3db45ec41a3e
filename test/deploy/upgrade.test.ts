/**
 * What an older version has left on disk is read by this one: configuration, downloaded models and jobs. The older one is the last commit
 * before the work on deployment began, run from the history of this checkout.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, describe, it } from "vitest";

import { createMlxdClient } from "../../src/client/node.ts";
import { startHubServer } from "../support/hub-server.ts";
import { startService } from "../support/running-service.ts";

const root = join(import.meta.dirname, "../..");
const git = (...args: readonly string[]): string => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();

/** The commit before the one that added the first file for several hosts; undefined in a clone that does not go back so far. */
const olderCommit = (): string | undefined => {
  try {
    const added =
      git("log", "--diff-filter=A", "--format=%H", "--", "deploy/haproxy/haproxy.cfg").split("\n").at(-1) ?? "";
    return git("rev-parse", "--verify", "--quiet", added === "" ? "HEAD" : `${added}^`);
  } catch {
    return undefined;
  }
};

/** Its sources, with this checkout's packages and MLX beside them. */
const unpack = (commit: string, folder: string): string => {
  const checkout = join(folder, "older");
  mkdirSync(checkout);
  execFileSync("sh", ["-c", `git archive ${commit} | tar -x -C '${checkout}'`], { cwd: root });
  for (const name of ["node_modules", ".cache"]) symlinkSync(join(root, name), join(checkout, name));
  return checkout;
};

describe("an upgrade", { timeout: 600_000 }, () => {
  it("finds the models, names and jobs that the version before has left", async (context) => {
    const commit = olderCommit();
    if (commit === undefined) return context.skip("this clone's history does not go back to an older version");
    const folder = mkdtempSync(join(tmpdir(), "mlxd-upgrade-"));
    const demo = join(root, "models/demo");
    const files = Object.fromEntries(readdirSync(demo).map((name) => [name, readFileSync(join(demo, name))] as const));
    const hub = await startHubServer({ repositories: { "acme/tiny": files } });
    cpSync(demo, join(folder, "models/demo"), { recursive: true });
    writeFileSync(
      join(folder, "mlxd.yaml"),
      `models:
  demo: { aliases: [house] }
  tiny: { repository: acme/tiny, defaults: { max_output_tokens: 12 } }
`,
    );
    const state = {
      MLXD_CONFIG: join(folder, "mlxd.yaml"),
      MLXD_MODELS: join(folder, "models"),
      MLXD_JOBS_STORE: join(folder, "jobs"),
      MLXD_DRAIN_MS: "1000",
    };
    const ask = { temperature: 0, maxOutputTokens: 12 };
    const long = { temperature: 0, ignoreEos: true, maxOutputTokens: 150 };
    try {
      const older = await startService({ ...state, HF_ENDPOINT: hub.url }, unpack(commit, folder));
      const before = createMlxdClient({ baseUrl: older.url });
      assert.isTrue((await before.prepareModel("tiny").collect()).downloaded);
      const answer = await before.generate("What is 2+2?", { ...ask, model: "tiny" });
      const done = await before.jobs.create([{ input: "What is 2+2?" }, { input: "What is 3+4?" }], { defaults: ask });
      const results: string[] = [];
      for await (const { result } of before.jobs.results(done.jobId)) results.push(result?.text ?? "");
      const questions = Array.from({ length: 12 }, (_, n) => ({ input: `Count from ${n} to 99` }));
      const left = await before.jobs.create(questions, { requestId: "left", defaults: long, maxParallel: 1 });
      before.close();
      await older.stop();

      // It may ask no hub for anything: what was downloaded is there.
      const service = await startService({ ...state, HF_ENDPOINT: "http://127.0.0.1:1", MLXD_OFFLINE: "true" });
      try {
        using client = createMlxdClient({ baseUrl: service.url });
        const models = await client.listModels();
        assert.includeMembers(
          models.map(({ id }) => id),
          ["demo", "tiny"],
        );
        assert.equal((await client.generate("What is 2+2?", { ...ask, model: "tiny" })).text, answer.text);
        assert.equal((await client.generate("What is 2+2?", { ...ask, model: "house" })).text, answer.text);
        const read: string[] = [];
        for await (const { result } of client.jobs.results(done.jobId)) read.push(result?.text ?? "");
        assert.deepEqual(read, results);
        const again = await client.jobs.create(questions, { requestId: "left", defaults: long, maxParallel: 1 });
        assert.equal(again.jobId, left.jobId);
        assert.isBelow(again.counts.completed, questions.length, "some of it was left to do");
        const answered: number[] = [];
        for await (const { index, result } of client.jobs.results(left.jobId)) {
          assert.isDefined(result);
          answered.push(index);
        }
        assert.deepEqual(
          answered,
          questions.map((_, n) => n),
        );
      } finally {
        assert.equal(await service.stop(), 0);
      }
    } finally {
      await hub[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
