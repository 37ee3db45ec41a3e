/** The service is killed in the middle of jobs, at random moments: nothing is lost, and nothing comes twice. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { assert, describe, it, vi } from "vitest";

import { createMlxdClient } from "../../src/client/node.ts";
import { collect } from "../support/collect.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { killEmbedded } from "./job-kills.ts";
import { kill } from "./killed-jobs.ts";

/** Only what hangs takes as long. */
const timeout = 15 * 60_000;
const root = fileURLToPath(new URL("../..", import.meta.url));

describe("a service that is killed", () => {
  it("20 times while it runs jobs has one outcome of every item", { timeout }, async () => {
    const { lost, lives } = await killEmbedded(20);
    assert.isAbove(lost, 0);
    process.stdout.write(`20 kills: ${lost} attempts lost and made again, by ${lives} lives of the service\n`);
  });

  it("twice answers 1,000 questions of `mlxd jobs submit` in their order", { timeout }, async () => {
    const directory = await mkdtemp(join(tmpdir(), "mlxd-questions-"));
    const [questions, answers] = [join(directory, "questions.jsonl"), join(directory, "answers.jsonl")];
    const sums = Array.from({ length: 1000 }, (_, index) => [index % 10, Math.floor(index / 10) % 10] as const);
    await writeFile(questions, sums.map(([a, b]) => `${JSON.stringify(`What is ${a}+${b}?`)}\n`).join(""));
    const environment = {
      MLXD_JOBS_STORE: join(directory, "store"),
      MLXD_LOG_LEVEL: "Error",
      MLXD_JOBS_PARALLEL: "16",
    };
    let service: RunningService = await startService(environment);
    try {
      const { port, url } = service;
      const command = promisify(execFile)(
        process.execPath,
        ["src/cli/main.ts", "jobs", "submit", questions, "-o", answers, "--temperature", "0", "--server", url],
        { cwd: root },
      );
      const lines = async () => (await readFile(answers, "utf8").catch(() => "")).split("\n").length - 1;
      for (const after of [100, 500]) {
        await vi.waitFor(async () => assert.isAbove(await lines(), after), { timeout, interval: 50 });
        await kill(service);
        service = await startService({ ...environment, MLXD_PORT: String(port) });
      }
      await command;
      const told = (await readFile(answers, "utf8")).trimEnd().split("\n");
      const all = told.map((line) => JSON.parse(line) as { readonly index: number; readonly text: string });
      assert.deepEqual(
        all.map(({ index }) => index),
        sums.map((_, index) => index),
      );
      const right = all.filter(({ text, index }) => {
        const [a = 0, b = 0] = sums[index] ?? [];
        return text.includes(String(a + b));
      });
      // The demo model knows nearly all of these sums: each answer is that of its own question.
      assert.isAbove(right.length, 950);
    } finally {
      await service.stop();
      await rm(directory, { recursive: true, force: true });
    }
  });

  it("in the midst of a `client.jobs.stream` gives its reader the whole answer", { timeout }, async () => {
    const directory = await mkdtemp(join(tmpdir(), "mlxd-stream-"));
    const environment = { MLXD_JOBS_STORE: join(directory, "store"), MLXD_LOG_LEVEL: "Error" };
    let service = await startService(environment);
    const { url, port } = service;
    using client = createMlxdClient({ baseUrl: url });
    try {
      const options = { seed: 7, temperature: 1, ignoreEos: true, maxOutputTokens: 200 };
      const expected = await client.generate("Count from 1 to 50", options);
      const stream = client.jobs.stream("Count from 1 to 50", options);
      let text = "";
      const ends: string[] = [];
      let isKilled = false;
      for await (const event of stream) {
        if (event.type === "restarted") text = "";
        if (event.type === "finished") ends.push(event.finishReason);
        if (event.type !== "chunk") continue;
        text += event.text;
        if (isKilled) continue;
        isKilled = true;
        await kill(service);
        service = await startService({ ...environment, MLXD_PORT: String(port) });
      }
      const result = await stream.collect();
      assert.deepEqual(ends, ["max_output_tokens"]);
      assert.equal(text, expected.text);
      assert.deepEqual([result.text, result.usage.outputTokens], [expected.text, 200]);
      // It was not complete when the service died.
      const [item] = await collect(client.jobs.items(stream.jobId ?? assert.fail("no job")));
      assert.lengthOf(item?.attempts ?? [], 2);
    } finally {
      await service.stop();
      await rm(directory, { recursive: true, force: true });
    }
  });
});
