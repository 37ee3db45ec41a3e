/**
 * Two containers of mlxd behind HAProxy, and a caller outside, while one of them drains, is paused, is killed, is cut off or runs out of
 * memory: calls go on, none is answered twice, and no stream ends well without its last event.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, assert, beforeAll, describe, it } from "vitest";

import { docker, noDocker, requireDocker } from "../support/docker.ts";
import { type ContainerLimits, MlxdContainers } from "../support/mlxd-containers.ts";
import { until } from "../support/until.ts";

/** What became of one stream. */
interface Ended {
  readonly text: string;
  /** How often its last event came. */
  readonly finished: number;
  readonly error: unknown;
}

/** The smallest container that docs/containers.md has the demo model run in. */
const smallest = (): ContainerLimits => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/containers.md"), "utf8");
  const options = /`--memory (\d+)m ((?:-e \w+=\d+ ?)+)`/.exec(page) ?? assert.fail("the page names no such container");
  const environment = [...(options[2] ?? "").matchAll(/-e (\w+)=(\d+)/g)].map(([, name = "", value = ""]) => [
    name,
    value,
  ]);
  return { memoryGb: Number(options[1]) / 1024, environment: Object.fromEntries(environment) };
};

describe("two containers behind HAProxy", { timeout: 900_000 }, () => {
  let hosts: MlxdContainers;

  beforeAll(async () => {
    if ((await noDocker()) !== undefined) return;
    hosts = new MlxdContainers(smallest());
    await hosts.start();
    await hosts.untilBothServe();
  }, 1_800_000);
  // Also where a test has failed: the next one begins with both.
  afterEach(async () => {
    if (hosts === undefined) return;
    await hosts.restore(1);
    await hosts.untilBothServe();
  }, 600_000);
  afterAll(() => hosts?.[Symbol.asyncDispose](), 120_000);

  /** One that takes a while wherever it runs, and says the same everywhere. */
  const stream = async (onBegin = (): void => {}, timeoutMs?: number): Promise<Ended> => {
    let [text, finished] = ["", 0];
    try {
      const parameters = { temperature: 0, ignoreEos: true, maxOutputTokens: 2000, timeBudgetMs: 4000 };
      const events = hosts.client.stream("Count from 1 to 30", { ...parameters, ...(timeoutMs && { timeoutMs }) });
      for await (const event of events) {
        if (event.type === "chunk") text += event.text;
        if (event.type === "finished") finished++;
        if (text !== "") onBegin();
      }
      return { text, finished, error: undefined };
    } catch (error) {
      return { text, finished, error };
    }
  };

  /** Eight streams that have all begun, of which this server has some. */
  const streamsWith = async (index: number, timeoutMs?: number): Promise<ReadonlyArray<Promise<Ended>>> => {
    for (;;) {
      const begun: Promise<unknown>[] = [];
      const streams = Array.from({ length: 8 }, () => {
        const { promise, resolve } = Promise.withResolvers<void>();
        const ended = stream(resolve, timeoutMs);
        begun.push(Promise.race([promise, ended]));
        return ended;
      });
      await Promise.all(begun);
      if (((await hosts.stats(index)).total?.running ?? 0) > 0) return streams;
      // All at the other one, or over by now, on a machine that is very slow.
      await Promise.all(streams);
    }
  };

  /** Each is answered well and once, or fails: never well in part, and never with what another call has begun. */
  const assertHonest = (ended: readonly Ended[]): void => {
    const longest = ended.map(({ text }) => text).toSorted((a, b) => b.length - a.length)[0] ?? "";
    for (const { text, finished, error } of ended) {
      assert.isTrue(longest.startsWith(text), `${text}\nis no beginning of\n${longest}`);
      assert.strictEqual(finished, error === undefined ? 1 : 0);
    }
  };

  const assertWell = (ended: readonly Ended[]): void => {
    assert.deepStrictEqual(
      ended.flatMap(({ error }) => (error instanceof Error ? [error.message] : [])),
      [],
    );
    assertHonest(ended);
  };

  /** HAProxy has found out that one is away: calls are answered while it is. */
  const untilItGoesOn = () =>
    until(async () => {
      const ended = await Promise.all(Array.from({ length: 4 }, () => stream(undefined, 30_000)));
      assertHonest(ended);
      return ended.every(({ finished }) => finished === 1);
    });

  it("share calls out, and find each conversation's beginning cached", async (context) => {
    await requireDocker(context);
    /** One turn after the other: nobody is turned away from a full server. */
    const cachedShare = async (isKeyed: boolean): Promise<number> => {
      let [cached, all] = [0, 0];
      for (const name of ["Ann", "Ben", "Cid", "Dan", "Eva", "Fay"]) {
        const system = `${isKeyed ? "Always" : "Never"} call me ${name}. ${`${name} likes numbers, and short answers. `.repeat(8)}`;
        const parameters = { temperature: 0, maxOutputTokens: 8 };
        const chat = hosts.client.chat({ system, parameters, ...(!isKeyed && { prefixKey: false as const }) });
        await chat.say("What is 1+2?");
        for (let turn = 2; turn < 5; turn++) {
          const { usage } = await chat.say(`What is ${turn}+2?`);
          cached += usage.cachedPromptTokens;
          all += usage.promptTokens;
        }
      }
      return cached / all;
    };
    let keyed = 0;
    const answered = await hosts.answeredDuring(async () => (keyed = await cachedShare(true)));
    const free = await cachedShare(false);
    await context.annotate(`found cached: ${free.toFixed(2)} without keys, ${keyed.toFixed(2)} with`);
    assert.isAbove(Math.min(...answered), 0, "both have some conversations");
    assert.isAbove(keyed, 0.8);
    assert.isAbove(keyed, free);
  });

  it("lose no call when one drains", async (context) => {
    await requireDocker(context);
    const streams = await streamsWith(1);
    const stopped = docker("stop", "--time", "300", hosts.at(1).getId());
    const meanwhile = [stream(), stream()];
    await stopped;
    assertWell(await Promise.all([...streams, ...meanwhile, stream()]));
    assert.strictEqual(await docker("inspect", "--format", "{{.State.ExitCode}}", hosts.at(1).getId()), "0");
  });

  it("go on while one is paused, which ends well what it had begun", async (context) => {
    await requireDocker(context);
    const streams = await streamsWith(1);
    await docker("pause", hosts.at(1).getId());
    // Some of these go there before HAProxy knows.
    const caught = [stream(), stream(), stream(), stream()];
    await untilItGoesOn();
    await docker("unpause", hosts.at(1).getId());
    assertWell(await Promise.all([...streams, ...caught]));
  });

  it("lose of one that is killed what had begun there alone", async (context) => {
    await requireDocker(context);
    const streams = await streamsWith(1);
    await docker("kill", hosts.at(1).getId());
    const after = [stream(), stream(), stream(), stream()];
    const ended = await Promise.all(streams);
    assertHonest(ended);
    const lost = ended.filter(({ error }) => error !== undefined);
    assert.isAbove(lost.length, 0, "it was killed while it streamed");
    for (const { text } of lost) assert.notStrictEqual(text, "");
    assertWell(await Promise.all(after));
  });

  it("go on while one is cut off the network", async (context) => {
    await requireDocker(context);
    const streams = await streamsWith(1, 60_000);
    await hosts.disconnect(1);
    const caught = [stream(undefined, 60_000), stream(undefined, 60_000)];
    await untilItGoesOn();
    await hosts.connect(1);
    assertHonest(await Promise.all([...streams, ...caught]));
  });

  it("lose an engine alone where a container's memory is full, and start it anew", async (context) => {
    await requireDocker(context);
    const stateOf = async () => JSON.parse(await docker("inspect", hosts.at(0).getId()))[0].State;
    const restarts = async () =>
      (await hosts.stats(0)).models.reduce((sum, { engineRestarts }) => sum + engineRestarts, 0);
    const [before, restartsBefore] = [await stateOf(), await restarts()];
    // What fills the memory belongs to no process. It goes on until the one that is to be ended first has gone.
    const fill = `
      for process in /proc/[0-9]*; do
        [ "$(cat $process/oom_score_adj)" -gt 0 ] && tr '\\0' ' ' <$process/cmdline | grep -q engine.js && engine=\${process#/proc/}
      done 2>/dev/null
      while kill -0 $engine 2>/dev/null; do head -c 8388608 /dev/zero >>/tmp/fill || break; done
      rm /tmp/fill
      ! kill -0 $engine 2>/dev/null`;
    const streams = await streamsWith(0);
    const filled = await hosts.at(0).exec(["sh", "-c", fill]);
    assert.strictEqual(filled.exitCode, 0, filled.output);
    assertHonest(await Promise.all([...streams, stream(), stream()]));
    await until(() =>
      restarts().then(
        (now) => now > restartsBefore,
        () => false,
      ),
    );
    const after = await stateOf();
    assert.deepStrictEqual([after.Running, after.Pid, after.StartedAt], [true, before.Pid, before.StartedAt]);
    await hosts.untilBothServe();
    assertWell(await Promise.all([stream(), stream(), stream()]));
  });
});
