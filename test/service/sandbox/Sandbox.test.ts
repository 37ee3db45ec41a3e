import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { getPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest";
import { Effect, Exit, Fiber, Layer, Scope } from "effect";

import { type Call, CurrentCall } from "../../../src/service/domain/Call.ts";
import { anonymous } from "../../../src/service/domain/Caller.ts";
import { SandboxConfig } from "../../../src/service/config/SandboxConfig.ts";
import { maxWaitingOfShare } from "../../../src/service/sandbox/WaitingJobs.ts";
import { smallInputBytes, Sandbox } from "../../../src/service/sandbox/Sandbox.ts";
import { byteLevel } from "../../fixtures/tokenizers.ts";
import { garbageFirst } from "../../support/garbage-channel.ts";

const timeLimitMs = 1000;
/** Its tenfold is enough for a lane to start on a busy machine. */
const stoppedLimitMs = 3000;
const memoryBytes = 256 * 1024 ** 2;
const layerWith = (limitMs: number, environment: Readonly<Record<string, string>> = {}) =>
  Sandbox.layer.pipe(
    Layer.provide(Layer.succeed(SandboxConfig, { timeLimitMs: limitMs, memoryBytes, lanes: 2, environment })),
  );
const sandbox = layerWith(timeLimitMs);

/** Sandbox processes of this one. */
const lanePids = (): ReadonlyArray<number> => {
  const lines = execFileSync("ps", ["-eo", "pid=,ppid=,args="], { encoding: "utf8" }).split("\n");
  return lines.flatMap((line) => {
    const [pid, parent] = line.trim().split(/\s+/);
    return parent === String(process.pid) && line.includes("sandbox/lane/main.ts") ? [Number(pid)] : [];
  });
};

describe("Sandbox", () => {
  const demo = fileURLToPath(new URL("../../../models/demo", import.meta.url));
  /** A model whose tokenizer takes time that doubles with every word. */
  let hostile = "";

  beforeAll(() => {
    hostile = mkdtempSync(join(tmpdir(), "mlxd-hostile-"));
    const { tokenizerJson, tokenizerConfig } = byteLevel;
    const pre_tokenizer = {
      type: "Split",
      pattern: { Regex: String.raw`(\w+\s?)+!` },
      behavior: "Isolated",
      invert: false,
    };
    writeFileSync(join(hostile, "tokenizer.json"), JSON.stringify({ ...tokenizerJson, pre_tokenizer }));
    writeFileSync(join(hostile, "tokenizer_config.json"), JSON.stringify(tokenizerConfig));
  });
  afterAll(() => rmSync(hostile, { recursive: true }));

  const model = {
    family: "unknown",
    systemRole: true,
    standIn: "tokenizer_default",
    cleanUp: [],
    vocabularySize: 0,
  } as const;
  const words = Array.from({ length: 12 }, (_, index) => `word${index}`).join(" ");
  const as = (peer: string) =>
    Effect.updateService(CurrentCall, (call): Call => ({ ...call, caller: anonymous(peer) }));
  const ask = (directory: string, text: string, peer?: string) =>
    Effect.flatMap(Sandbox, ({ run }) =>
      run(
        "encode",
        {
          model: { ...model, directory, digest: undefined },
          texts: [text],
          addSpecialTokens: false,
          truncate: false,
          limit: Infinity,
        },
        { inputBytes: text.length, subject: directory },
      ),
    ).pipe(
      peer === undefined ? (own) => own : as(peer),
      Effect.map(([tokens]) => (tokens !== undefined && "tokenIds" in tokens ? tokens.tokenIds : [])),
    );

  it.live("does a job in another process", () =>
    Effect.gen(function* () {
      assert.isAbove((yield* ask(demo, "What is 2+2?")).length, 2);
      assert.equal(lanePids().length, 1);
    }).pipe(Effect.provide(sandbox)),
  );

  it.live("reads folders in the process that a model's texts are in, and starts none for it", () =>
    Effect.gen(function* () {
      const { run } = yield* Sandbox;
      const reading = { inputBytes: 0, subject: "model folders", isForgotten: true };
      yield* run("readRevision", demo, reading);
      yield* ask(demo, "1 2");
      yield* run("readRevision", demo, reading);
      assert.strictEqual(lanePids().length, 1);
    }).pipe(Effect.provide(sandbox)),
  );

  it.live("ends a job at its time limit, and does what waited for it in a fresh process", () =>
    Effect.gen(function* () {
      const [slow, quick] = yield* Effect.all([Effect.flip(ask(hostile, words)), ask(demo, "still here")], {
        concurrency: "unbounded",
      });
      assert.equal(slow.reason, "time-limit");
      assert.include(slow.message, `takes more than ${timeLimitMs} ms`);
      assert.isAbove(quick.length, 0);
      assert.isAbove((yield* ask(hostile, "a!")).length, 0);
    }).pipe(Effect.provide(sandbox)),
  );

  it.live(
    "ends a job at its memory limit",
    () =>
      Effect.gen(function* () {
        const directory = mkdtempSync(join(tmpdir(), "mlxd-growing-"));
        yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(directory, { recursive: true })));
        const chat_template =
          "{% set n = namespace(s='x') %}{% for i in range(9999) %}{% for j in range(9999) %}{% set n.s = n.s ~ j %}{% endfor %}{% endfor %}{{ n.s }}";
        writeFileSync(join(directory, "tokenizer.json"), JSON.stringify(byteLevel.tokenizerJson));
        writeFileSync(join(directory, "tokenizer_config.json"), JSON.stringify({ chat_template }));
        const { run } = yield* Sandbox;
        const failed = yield* Effect.flip(run("loadText", { ...model, directory }, { inputBytes: 0 }));
        assert.equal(failed.reason, "memory-limit");
        assert.include(failed.message, `takes more than ${memoryBytes} bytes of memory`);
      }).pipe(Effect.scoped, Effect.provide(layerWith(600_000))),
    120_000,
  );

  it.live("keeps a lane for others while one model takes its time", () =>
    Effect.gen(function* () {
      yield* ask(demo, "warm");
      const slow = yield* Effect.all([1, 2, 3, 4].map(() => Effect.forkChild(Effect.flip(ask(hostile, words)))));
      yield* ask(demo, "not kept waiting");
      assert.isTrue(slow.every((each) => each.pollUnsafe() === undefined));
      yield* Fiber.interruptAll(slow);
    }).pipe(Effect.provide(sandbox)),
  );

  it.live("does a job once more when its process was killed from outside", () =>
    Effect.gen(function* () {
      yield* ask(demo, "warm");
      const [pid] = lanePids();
      const text = "many words ".repeat(5000);
      const running = yield* Effect.forkChild(ask(demo, text));
      yield* Effect.yieldNow;
      if (pid !== undefined) process.kill(pid, "SIGKILL");
      assert.isAbove((yield* Fiber.join(running)).length, 1000);
    }).pipe(Effect.provide(sandbox)),
  );

  // It uses no CPU, which the limit is of, and was found after twenty times the limit only.
  it.live("does a job once more when its process was stopped from outside, soon after its time is over", () =>
    Effect.gen(function* () {
      yield* ask(demo, "warm");
      for (const pid of lanePids()) process.kill(pid, "SIGSTOP");
      const began = performance.now();
      assert.isNotEmpty(yield* ask(demo, "who is there?"));
      const waitedMs = performance.now() - began;
      assert.isAbove(waitedMs, stoppedLimitMs, "it has its time");
      assert.isBelow(waitedMs, 10 * stoppedLimitMs);
    }).pipe(Effect.provide(layerWith(stoppedLimitMs))),
  );

  it.live("tells of a job whose process was killed from outside twice", () =>
    Effect.gen(function* () {
      const running = yield* Effect.forkChild(Effect.flip(ask(hostile, words)), { startImmediately: true });
      const killed = new Set<number>();
      while (killed.size < 2) {
        yield* Effect.sleep("20 millis");
        for (const pid of lanePids().filter((each) => !killed.has(each))) {
          killed.add(pid);
          process.kill(pid, "SIGKILL");
        }
      }
      const failed = yield* Fiber.join(running);
      assert.equal(failed.reason, "killed");
      assert.include(failed.message, "ended from outside, twice");
    }).pipe(Effect.provide(layerWith(600_000))),
  );

  it.live("tells what a job throws", () =>
    Effect.gen(function* () {
      const failed = yield* Effect.flip(ask("/nowhere", "text"));
      assert.equal(failed.reason, "threw");
      assert.include(failed.message, "tokenizer.json is missing");
    }).pipe(Effect.provide(sandbox)),
  );

  it.live("gives a caller one place for small inputs and one for large", () =>
    Effect.gen(function* () {
      const order: string[] = [];
      const noted = (name: string, text: string) =>
        Effect.tap(ask(demo, text, "a"), () => Effect.sync(() => order.push(name)));
      const large = "large ".repeat(smallInputBytes / 5);
      const all = [noted("first large", large), noted("second large", large), noted("small", "small")];
      yield* ask(demo, "warm");
      yield* Effect.all(all, { concurrency: "unbounded" });
      assert.deepEqual(order, ["small", "first large", "second large"]);
    }).pipe(Effect.provide(sandbox)),
  );

  it.live("lets another caller's large input wait for no more than those that run", () =>
    Effect.gen(function* () {
      yield* ask(demo, "warm");
      const large = "large ".repeat(smallInputBytes / 5);
      let done = 0;
      const flood = yield* Effect.forEach(
        Array.from({ length: 100 }),
        () => Effect.tap(ask(demo, large, "flood"), () => Effect.sync(() => (done += 1))),
        { concurrency: "unbounded", discard: true },
      ).pipe(Effect.forkChild);
      yield* Effect.yieldNow;
      assert.isAbove((yield* ask(demo, large, "neighbour")).length, 1000);
      assert.isBelow(done, 5);
      yield* Fiber.interrupt(flood);
    }).pipe(Effect.provide(layerWith(60_000))),
  );

  it.live("keeps no small job waiting behind large ones", () =>
    Effect.gen(function* () {
      yield* ask(hostile, "warm!");
      const large = `${words} ${"x".repeat(smallInputBytes)}`;
      const slow = yield* Effect.all([1, 2, 3, 4].map(() => Effect.forkChild(Effect.flip(ask(hostile, large)))));
      yield* ask(hostile, "small!");
      assert.isTrue(slow.every((each) => each.pollUnsafe() === undefined));
      yield* Fiber.interruptAll(slow);
    }).pipe(Effect.provide(sandbox)),
  );

  it.live("fails a job whose process writes what is no message, and goes on", () =>
    Effect.gen(function* () {
      const failed = yield* Effect.flip(ask(demo, "text"));
      assert.equal(failed.reason, "crashed");
    }).pipe(Effect.provide(layerWith(timeLimitMs, { PATH: process.env["PATH"] ?? "", ...garbageFirst }))),
  );

  it.live("lets engines come before what reads large inputs, from its first moment on", () =>
    Effect.gen(function* () {
      yield* ask(demo, "warm");
      const small = lanePids();
      yield* ask(demo, "large ".repeat(smallInputBytes / 5));
      const large = lanePids().filter((pid) => !small.includes(pid));
      assert.isNotEmpty(large);
      for (const pid of small) assert.equal(getPriority(pid), getPriority());
      // Also once its job is done: the next one is large as well.
      for (const pid of large) assert.isAbove(getPriority(pid), getPriority());
    }).pipe(Effect.provide(sandbox)),
  );

  it.live("leaves no process behind", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make();
      const services = yield* Layer.buildWithScope(sandbox, scope);
      yield* Effect.provide(ask(demo, "text"), services);
      const before = lanePids();
      assert.isAbove(before.length, 0);
      yield* Scope.close(scope, Exit.void);
      yield* Effect.sleep("200 millis");
      assert.isEmpty(lanePids().filter((pid) => before.includes(pid)));
    }),
  );

  it.live("refuses what one caller has too much of, and nobody else's", () =>
    Effect.gen(function* () {
      const { run } = yield* Sandbox;
      const large = { inputBytes: smallInputBytes + 1, subject: "large ones" };
      const flood = yield* Effect.forEach(
        Array.from({ length: maxWaitingOfShare + 50 }),
        () => Effect.exit(run("readRevision", demo, large)),
        { concurrency: "unbounded" },
      ).pipe(as("flood"), Effect.forkScoped);
      yield* Effect.yieldNow;
      const refused = yield* Effect.flip(run("readRevision", demo, large).pipe(as("flood")));
      assert.equal(refused.reason, "queue-full");
      assert.isAbove((yield* ask(demo, "What is 2+2?", "flood")).length, 2);
      yield* run("readRevision", demo, large).pipe(as("another"));
      yield* Fiber.interrupt(flood);
    }).pipe(Effect.scoped, Effect.provide(sandbox)),
  );
});
