/** deploy/compose/compose.yaml as docs/containers.md starts it: two servers, HAProxy, Postgres and Prometheus. */
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { createMlxdClient, type NodeClient } from "../../src/client/node.ts";
import { baseArguments, compose, docker, noDocker, requireDocker } from "../support/docker.ts";
import { until } from "../support/until.ts";
import { freePort } from "../support/free-port.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const section = readFileSync(join(root, "docs/containers.md"), "utf8").split("\n## Two servers in one file\n")[1] ?? "";
/** The page's commands, of which the last one makes a call. */
const commands = /^```sh\n(.*?)^```$/ms.exec(section)?.[1] ?? "";
const [setUp = "", start = "", trust = "", call = ""] = commands.trim().split("\n");
const project = `mlxd-test-${process.pid}`;

describe("compose.yaml", { timeout: 900_000 }, () => {
  let folder = "";
  let env: NodeJS.ProcessEnv = {};
  let client: NodeClient;
  let prometheus = "";

  /** One of the page's commands, in a copy of the checkout, as the first one writes there. */
  const shell = async (command: string) =>
    (await run("bash", ["-euc", command], { cwd: folder, env, maxBuffer: 64 * 1024 ** 2 })).stdout;
  /** A command to Compose with the options that the page names. */
  const composed = (...args: readonly string[]) => {
    const options = /^docker-compose (.*) up /.exec(start)?.[1] ?? assert.fail("the page starts nothing");
    return compose(["--project-name", project, ...options.split(" "), ...args], folder, env);
  };

  beforeAll(async () => {
    if ((await noDocker()) !== undefined) return;
    folder = mkdtempSync(join(tmpdir(), "mlxd-compose-"));
    const left = /^(\.git|\.cache|node_modules|dist|test|models\/(?!demo)[^/]+|deploy\/compose\/config)$/;
    cpSync(root, folder, { recursive: true, filter: (path) => !left.test(relative(root, path)) });
    const [port, prometheusPort] = [await freePort(), await freePort()];
    const bases = (await baseArguments()).filter((argument) => argument !== "--build-arg");
    env = {
      ...process.env,
      ...Object.fromEntries(bases.map((argument) => argument.split("="))),
      MLXD_PORT: String(port),
      PROMETHEUS_PORT: String(prometheusPort),
    };
    await shell(setUp);
    assert.match(start, / up -d --build$/);
    await composed("up", "-d", "--build");
    prometheus = `http://127.0.0.1:${prometheusPort}`;
    client = createMlxdClient({
      baseUrl: `https://localhost:${port}`,
      credentials: readFileSync(join(folder, "deploy/compose/config/ci.key"), "utf8").trim(),
      tls: { ca: readFileSync(join(folder, "deploy/compose/config/ca.crt")) },
    });
  }, 1_800_000);
  afterAll(async () => {
    client?.close();
    if (prometheus !== "" || folder !== "") await composed("down", "--volumes", "--timeout", "5").catch(() => {});
    rmSync(folder, { recursive: true, force: true });
  }, 120_000);

  it("answers the page's first call", async (context) => {
    await requireDocker(context);
    const here = call
      .replace("bin/mlxd", join(root, "bin/mlxd"))
      .replace("https://localhost", `https://localhost:${env["MLXD_PORT"]}`);
    assert.include(await shell(`${trust}\n${here}`), "4");
  });

  it("works a job off on both servers, and goes on with it where either of them is killed", async (context) => {
    await requireDocker(context);
    for (const [round, victim] of ["mlxd1", "mlxd2"].entries()) {
      const questions = Array.from({ length: 40 }, (_, n) => ({ input: `${round}: count from ${n} to 99` }));
      const defaults = { temperature: 0, ignoreEos: true, maxOutputTokens: 2000, timeBudgetMs: 2000 };
      const job = await client.jobs.create(questions, { defaults });
      const indices: number[] = [];
      for await (const { index, result } of client.jobs.results(job.jobId)) {
        assert.isDefined(result);
        indices.push(index);
        if (indices.length === 3) await composed("kill", victim);
      }
      assert.deepStrictEqual(
        indices.toSorted((a, b) => a - b),
        questions.map((_, n) => n),
      );
      await composed("start", victim);
      const id = await composed("ps", "-q", victim);
      await until(async () => (await docker("inspect", "-f", "{{.State.Health.Status}}", id)) === "healthy");
    }
  });

  it("is watched by Prometheus as a whole", async (context) => {
    await requireDocker(context);
    await until(async () => {
      const answer = await fetch(`${prometheus}/api/v1/query?query=up`);
      const { data } = (await answer.json()) as {
        data: { result: { metric: { job: string }; value: [number, string] }[] };
      };
      const up = data.result.filter(({ value }) => value[1] === "1").map(({ metric }) => metric.job);
      return up.filter((job) => job === "mlxd").length === 2 && up.includes("haproxy");
    });
    const rules = (await (await fetch(`${prometheus}/api/v1/rules`)).json()) as { data: { groups: unknown[] } };
    assert.isAbove(rules.data.groups.length, 0);
  });
});
