/** Calls through a balancer to several hosts, and what became of each: what every set-up of several hosts is held to. */
import { setTimeout as sleep } from "node:timers/promises";
import { assert } from "vitest";

import type { MlxdClient } from "../../src/client/client.ts";
import type { Host } from "./hosts.ts";
import { until } from "./until.ts";

interface CallOutcome {
  /** Something of its answer had arrived. */
  readonly hasBegun: boolean;
  /** It ended as it should, with its last event. */
  readonly isFinished: boolean;
  readonly error: unknown;
}

/** How long a stream takes, whatever the machine does meanwhile. */
type Length = { readonly timeBudgetMs: number };

/** One stream of this length, whatever the model would say. */
const callOnce = async (client: MlxdClient, seed: number, length: Length): Promise<CallOutcome> => {
  let hasBegun = false;
  let isFinished = false;
  try {
    const parameters = { seed, temperature: 1, ignoreEos: true, maxOutputTokens: 2000, ...length };
    for await (const { type } of client.stream(`${seed} and `, parameters)) {
      hasBegun = true;
      isFinished = type === "finished";
    }
    return { hasBegun, isFinished, error: undefined };
  } catch (error) {
    return { hasBegun, isFinished, error };
  }
};

interface Calling {
  /** Calls that have ended so far. */
  readonly ended: () => number;
  /** What became of all of them, when they have all ended. */
  readonly outcomes: Promise<readonly CallOutcome[]>;
}

/** Makes `count` streams, `atOnce` of them at a time. */
const callMany = (client: MlxdClient, count: number, atOnce: number, lengthOf: (at: number) => Length): Calling => {
  const outcomes: CallOutcome[] = [];
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < count) {
      const at = next++;
      outcomes.push(await callOnce(client, at, lengthOf(at)));
    }
  };
  return {
    ended: () => outcomes.length,
    outcomes: Promise.all(Array.from({ length: atOnce }, caller)).then(() => outcomes),
  };
};

const assertAllFinished = (outcomes: readonly CallOutcome[]): void => {
  const failed = outcomes.filter(({ isFinished }) => !isFinished);
  assert.deepStrictEqual(
    failed.map(({ error }) => String(error)),
    [],
  );
};

interface Split {
  /** Calls that each host has answered, in the hosts' order. */
  readonly answered: readonly number[];
  /** The most that ran, and the most that waited, at each host. */
  readonly running: readonly number[];
  readonly waiting: readonly number[];
}

/**
 * Fills the hosts, with some more calls than they have slots, and tells who answered how many. Each call takes the same time wherever it
 * runs, as it would on machines that are as fast as they have slots: those of a test share their processors.
 */
export const splitOf = async (client: MlxdClient, hosts: readonly Host[], count: number): Promise<Split> => {
  const before = await Promise.all(hosts.map((host) => host.succeeded()));
  const slots = hosts.reduce((sum, host) => sum + host.slots, 0);
  const calling = callMany(client, count, slots + 2, () => ({ timeBudgetMs: 500 }));
  const running = hosts.map(() => 0);
  const waiting = hosts.map(() => 0);
  let isOver = false;
  const watch = async (host: Host, at: number): Promise<void> => {
    while (!isOver) {
      const load = await host.load();
      running[at] = Math.max(running[at] ?? 0, load.running);
      waiting[at] = Math.max(waiting[at] ?? 0, load.waiting);
      await sleep(20);
    }
  };
  const watching = Promise.all(hosts.map(watch));
  const outcomes = await calling.outcomes;
  isOver = true;
  await watching;
  assertAllFinished(outcomes);
  const after = await Promise.all(hosts.map((host) => host.succeeded()));
  return { answered: after.map((now, at) => now - (before[at] ?? 0)), running, waiting };
};

/**
 * Makes the calls, and waits until the balancer has had answers of the hosts and this one streams. The first ones are short and all
 * others long: what streams then has just begun, and still does a moment later, on fast machines too.
 */
const callUntilBusy = async (client: MlxdClient, host: Host, count: number, atOnce: number): Promise<Calling> => {
  const calling = callMany(client, count, atOnce, (at) => ({ timeBudgetMs: at < atOnce ? 300 : 3_000 }));
  await until(async () => calling.ended() >= atOnce && (await host.load()).running > 0);
  return calling;
};

/**
 * Kills a host while it streams. What fails had begun there, and of the calls that had not none does: `client` repeats nothing
 * itself.
 */
export const outcomesOfKill = async (client: MlxdClient, victim: Host, count: number, atOnce: number) => {
  const calling = await callUntilBusy(client, victim, count, atOnce);
  victim.service.process.kill("SIGKILL");
  const outcomes = await calling.outcomes;
  const failed = outcomes.filter(({ isFinished }) => !isFinished);
  for (const { hasBegun, error } of failed)
    assert.isTrue(hasBegun, `it had not begun, and ended with ${String(error)}`);
  // A stream never ends as if it were whole.
  for (const { error } of failed) assert.isDefined(error);
  return { failed: failed.length, answered: outcomes.length - failed.length };
};

/** Ends a host as its supervisor does, while it streams; gives its exit code. All calls are answered. */
export const drainUnderLoad = async (client: MlxdClient, leaving: Host, count: number, atOnce: number) => {
  const calling = await callUntilBusy(client, leaving, count, atOnce);
  const code = await leaving.service.stop();
  assertAllFinished(await calling.outcomes);
  return code;
};

/**
 * Share of the prompts' tokens that a prefix cache had. `groups` assistants, each with its own long instructions, talk in turns with
 * several users at once, as services do; every conversation says who it is (`x-prefix-key`), or none does.
 */
export const hitRateOf = async (client: MlxdClient, groups: number, isKeyed: boolean): Promise<number> => {
  const turns = 4;
  let promptTokens = 0;
  let cachedPromptTokens = 0;
  const converse = async (group: number, user: number): Promise<void> => {
    const name = `${isKeyed ? "keyed" : "free"} ${group}`;
    const system = `You are assistant ${name}. ${`Rule ${name}: be brief and say what you know. `.repeat(8)}`;
    const chat = client.chat({
      system,
      parameters: { temperature: 0, maxOutputTokens: 8 },
      ...(!isKeyed && { prefixKey: false as const }),
    });
    for (let turn = 0; turn < turns; turn++) {
      const { usage } = await chat.say(`User ${user}: what is ${turn}+${group}?`);
      promptTokens += usage.promptTokens;
      cachedPromptTokens += usage.cachedPromptTokens;
    }
  };
  const conversations = Array.from({ length: groups * 2 }, (_, at) => converse(at % groups, Math.floor(at / groups)));
  await Promise.all(conversations);
  return cachedPromptTokens / promptTokens;
};
