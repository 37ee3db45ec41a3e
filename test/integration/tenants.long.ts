/**
 * A tenant that calls far beyond its limits, and one beside it: each in a process of its own, as callers are in the field. Sixteen
 * callers that repeat refused calls at once made the other tenant's first tokens come 1.3 to 2 times as late.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { apiKey, storedKey } from "../support/api-key.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import type { Order } from "../support/tenant-caller.ts";

class Callers {
  readonly #process: ChildProcess;

  constructor(url: string, tenant: string) {
    this.#process = fork(new URL("../support/tenant-caller.ts", import.meta.url), [url, apiKey(tenant)]);
  }

  async answer(): Promise<unknown> {
    const [answer] = (await once(this.#process, "message")) as [unknown];
    return answer;
  }

  ask(order: Order): Promise<unknown> {
    const answer = this.answer();
    this.#process.send(order);
    return answer;
  }

  end(): void {
    this.#process.kill("SIGKILL");
  }
}

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** What the other tenant's first token may take beside it, as a multiple of what it takes alone. */
const mostRatio = 1.2;
const callsOfRound = 3;
/** Rounds are short and in turns, so that what the machine does meanwhile strikes both; near the bound there are more of them. */
const rounds = [30, 60, 90];

describe("a tenant beside one that is at its limit", () => {
  let folder: string;
  let service: RunningService;
  let other: Callers;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "mlxd-tenants-"));
    const tenant = (id: string, limits?: object) => ({ roles: ["inference"], keys: [storedKey(id)], limits });
    const tenants = {
      // As good as none of their calls is admitted: what is measured is what refusing costs.
      requests: tenant("requests", { requests_per_minute: 1 }),
      // Known only once the prompt has been tokenised.
      prompts: tenant("prompts", { max_prompt_tokens: 2 }),
      other: tenant("other"),
    };
    writeFileSync(join(folder, "mlxd.yaml"), JSON.stringify({ access: { tenants } }));
    service = await startService({ MLXD_CONFIG: join(folder, "mlxd.yaml") });
    other = new Callers(service.url, "other");
    await other.answer();
    // The first calls pay for what is made once.
    await other.ask({ type: "measure", calls: 60 });
  }, 240_000);
  afterAll(async () => {
    other?.end();
    await service?.stop();
    rmSync(folder, { recursive: true });
  });

  it.each([
    ["calls that are refused from their headers", "requests"],
    ["calls that are refused for the length of their prompts", "prompts"],
  ])(
    "waits for its first token as if it were alone, beside %s",
    async (_, tenant) => {
      const greedy = new Callers(service.url, tenant);
      const [alone, beside]: [number[], number[]] = [[], []];
      const answers: Record<string, number> = {};
      const round = async (): Promise<void> => {
        const measure = async () => (await other.ask({ type: "measure", calls: callsOfRound })) as number[];
        alone.push(...(await measure()));
        assert.equal(await greedy.ask({ type: "hammer", callers: 16 }), "refused");
        beside.push(...(await measure()));
        for (const [answer, count] of Object.entries((await greedy.ask({ type: "stop" })) as Record<string, number>)) {
          answers[answer] = (answers[answer] ?? 0) + count;
        }
      };
      try {
        await greedy.answer();
        for (const enough of rounds) {
          while (alone.length < enough * callsOfRound) await round();
          if (median(beside) <= mostRatio * median(alone)) break;
        }
      } finally {
        greedy.end();
      }
      const told = `first token: alone ${median(alone).toFixed(1)} ms, beside it ${median(beside).toFixed(1)} ms (${alone.length} calls of each); its calls: ${JSON.stringify(answers)}`;
      process.stdout.write(`${told}\n`);
      assert.isAbove(answers["QUOTA"] ?? 0, 10 * (answers["answered"] ?? 0), told);
      assert.isAtMost(median(beside), mostRatio * median(alone), told);
    },
    300_000,
  );
});
