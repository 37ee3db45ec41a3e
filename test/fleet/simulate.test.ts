/** The simulation of fleets: what it has to keep, and the figures of docs/scale.md, which it has to give again. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { assert, describe, it } from "vitest";

import { defaultParameters, type FleetParameters } from "../../scripts/fleet/parameters.ts";
import { policies } from "../../scripts/fleet/policies.ts";
import { PrefixCache } from "../../scripts/fleet/PrefixCache.ts";
import { simulate } from "../../scripts/fleet/simulate.ts";

const page = readFileSync(new URL("../../docs/scale.md", import.meta.url), "utf8");
const program = new URL("../../scripts/simulate-fleet.ts", import.meta.url).pathname;
const run = (...args: string[]) => promisify(execFile)(process.execPath, [program, ...args]);

const figuresOf = (name: string, changes: Partial<FleetParameters>) => {
  const fleet = { ...defaultParameters, hosts: 4, callsPerHost: 60, ...changes };
  const create = policies[name] ?? assert.fail(`there is no policy ${name}`);
  return simulate(fleet, create(fleet));
};

describe("a simulated fleet", () => {
  it("is the same for the same seed, and another for another one", () => {
    const [one, again, other] = [1, 1, 2].map((seed) => figuresOf("round robin", { seed }));
    assert.deepStrictEqual(one, again);
    assert.notDeepEqual(one, other);
  });

  it("of one host finds the same cached, whatever its calls go by", () => {
    const found = Object.keys(policies).map((name) => figuresOf(name, { hosts: 1 }).cached.toFixed(6));
    assert.strictEqual(new Set(found).size, 1);
  });

  it("computes instructions once where its cache holds everything and calls stay where their instructions are", () => {
    // Little to do, so that no bound sends a call elsewhere; calls of one turn have nothing but their instructions in common.
    const { cached } = figuresOf("bounded hash of the instructions", {
      turns: 1,
      utilization: 0.02,
      balanceFactor: 100,
      cacheTokens: 1e7,
      callsPerHost: 300,
    });
    const { instructionTokens, userTokens } = defaultParameters;
    assert.closeTo(cached, instructionTokens / (instructionTokens + userTokens), 0.01);
  });

  it("finds nothing cached without a cache", () => {
    for (const name of Object.keys(policies)) assert.strictEqual(figuresOf(name, { cacheTokens: 1 }).cached, 0);
  });

  it("lets calls wait where there are more than its hosts can do", () => {
    const idle = figuresOf("least connections, queue in front", { utilization: 0.3 });
    const full = figuresOf("least connections, queue in front", { utilization: 1, callsPerHost: 300 });
    assert.isAbove(full.firstTokenP95, idle.firstTokenP95 + 1);
  });

  it("has no host with more than the bound allows, over time", () => {
    const { busiest } = figuresOf("bounded hash of the instructions", { callsPerHost: 500, balanceFactor: 1.25 });
    assert.isBelow(busiest, 1.4);
  });
});

describe("a simulated cache", () => {
  it("drops what was used longest ago, and nothing that is larger than itself keeps it from working", () => {
    const cache = new PrefixCache(100);
    cache.keep("a", 60);
    cache.keep("b", 40);
    cache.find("a");
    cache.keep("c", 30);
    assert.deepStrictEqual(
      ["a", "b", "c"].map((key) => cache.find(key)),
      [60, 0, 30],
    );
    cache.keep("c", 50);
    assert.strictEqual(cache.find("a"), 0);
  });
});

describe("npm run simulate:fleet", () => {
  const examples = [...page.matchAll(/^```sh\nnpm run simulate:fleet ?(?:-- )?(.*)\n```\n\n((?:\|.*\n)+)/gm)];

  it.for(examples.map(([, args = "", table = ""]) => ({ args, table })))(
    "gives the figures of docs/scale.md again: $args",
    async ({ args, table }) => {
      const { stdout } = await run(...args.split(" ").filter((each) => each !== ""));
      assert.include(stdout, table.trim());
    },
  );

  it("has its figures on the page", () => {
    assert.isAtLeast(examples.length, 2);
  });

  it("says what is wrong with an option", async () => {
    for (const [args, told] of [
      [["--hosts", "0"], "--hosts is 0, which is no number from 1 to 5000"],
      [["--slots", "1.5"], "--slots is 1.5, which is not whole"],
      [["--utilization", "2"], "--utilization is 2"],
      [["--slot", "2"], "--slot"],
    ] as const) {
      const failed = await run(...args).catch((error: { code: number; stderr: string }) => error);
      assert.include(failed.stderr, told);
      assert.include(failed.stderr, "Usage: npm run simulate:fleet");
    }
  });
});
