/** Models whose server this service starts, with real processes of a server that does as it is told. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, describe, it } from "@effect/vitest";
import { Effect, Fiber, Stream } from "effect";

import type { BackendSettings } from "../../../../src/service/config/read-backends.ts";
import type { ConversationEngine, ConversationRequest, EngineEvent } from "../../../../src/service/engine/Engine.ts";
import type { StartStage } from "../../../../src/service/engine/Engines.ts";
import { backendDrivers } from "../../../../src/service/engine/backends/backend-drivers.ts";
import { capturedLog, type LogLine } from "../../../support/captured-log.ts";
import { isAlive } from "../../../support/is-alive.ts";
import { managedBackend } from "../../../support/managed-backend.ts";
import { servedModel } from "../../../support/served-model.ts";
import { chat, message } from "../../../support/tasks.ts";

const model = servedModel({ id: "demo", source: "org/demo", engine: "vllm" });
const backend = managedBackend;

const start = (settings: BackendSettings, stages: StartStage[] = []) =>
  backendDrivers().vllm.start(model, settings, (stage) => Effect.sync(() => void stages.push(stage)));

const requestOf = (text: string): ConversationRequest => {
  const input = chat(message("user", text));
  return {
    id: text,
    input: input.type === "chat" ? input : assert.fail(),
    parameters: { ...model.defaults, seed: 7, minOutputTokens: 0, stopTokenIds: [] },
    reasoning: {},
    constraint: undefined,
    topLogprobs: undefined,
    asked: new Set(),
    promptCount: { tokens: 5, estimated: true },
    timeBudgetMs: undefined,
    scheduling: { turn: 0, fairnessId: "" },
  };
};

const ask = (engine: ConversationEngine, text = "hello", onEvent: (event: EngineEvent) => void = () => {}) => {
  const events: EngineEvent[] = [];
  const note = (event: EngineEvent) => {
    events.push(event);
    onEvent(event);
  };
  return Effect.map(Effect.result(engine.converse(requestOf(text), note)), (result) => ({
    error: result._tag === "Failure" ? result.failure : undefined,
    events,
    text: events.map((event) => (event.type === "output" ? event.text : "")).join(""),
  }));
};

const pidIn = (text: string): number => Number(/I am (\d+)/.exec(text)?.[1] ?? assert.fail(text));

const assertGone = (pid: number): Effect.Effect<void> =>
  Effect.map(
    Effect.promise(() => isAlive(pid)),
    (alive) => assert.isFalse(alive),
  );

describe("a model whose server is started here", () => {
  it.live("answers from its own process, in its folder and with its environment, and ends with it", () =>
    Effect.gen(function* () {
      const stages: StartStage[] = [];
      const { text, residentBytes } = yield* Effect.scoped(
        Effect.gen(function* () {
          const engine = yield* start(backend(["--busy=3"]), stages);
          const answer = yield* ask(engine);
          assert.isUndefined(answer.error);
          const status = yield* engine.status;
          return { ...answer, ...status };
        }),
      );
      assert.include(text, `at ${tmpdir()} with org/demo on 127.0.0.1.`);
      assert.deepStrictEqual(stages, ["server-starting", "model-serving", "model-loading"]);
      assert.isAbove(residentBytes, 1024 ** 2);
      yield* assertGone(pidIn(text));
    }),
  );

  it.live("answers a request from the next process that lost its first one before any output", () =>
    Effect.gen(function* () {
      const engine = yield* start(backend());
      const first = yield* ask(engine);
      const killed = yield* ask(engine, "die halfway", (event) => {
        if (event.type === "output") assert.strictEqual(event.text, "Half");
      });
      assert.deepInclude(killed.error, { _tag: "EngineLost", how: "died" });
      const next = yield* ask(engine);
      assert.isUndefined(next.error);
      assert.notStrictEqual(pidIn(next.text), pidIn(first.text));
      yield* assertGone(pidIn(first.text));
      assert.deepInclude(yield* engine.status, { restarts: 1 });
      // A request that nothing came of yet waits for the next process.
      const held = yield* Effect.forkChild(ask(engine, "hang"));
      yield* Effect.sleep(300);
      process.kill(pidIn(next.text), "SIGKILL");
      const third = yield* ask(engine);
      assert.notStrictEqual(pidIn(third.text), pidIn(next.text));
      assert.strictEqual(yield* engine.cancel("hang"), true);
      assert.isUndefined((yield* Fiber.join(held)).error);
    }),
  );

  it.live("gives a request up that has killed two processes, and goes on with others", () =>
    Effect.gen(function* () {
      const engine = yield* start(backend());
      const { error, events } = yield* ask(engine, "die");
      assert.deepInclude(error, { _tag: "EngineLost", deaths: 2 });
      assert.deepStrictEqual(events, []);
      assert.isUndefined((yield* ask(engine)).error);
      assert.deepInclude(yield* engine.status, { restarts: 2 });
    }),
  );

  it.live("is started anew when it answers no more, though its process lives", () =>
    Effect.gen(function* () {
      const engine = yield* start(backend());
      const before = yield* ask(engine);
      const lame = yield* ask(engine, "lame");
      // It is asked again at the next process, which it makes lame, too.
      assert.isDefined(lame.error);
      const after = yield* ask(engine);
      assert.notStrictEqual(pidIn(after.text), pidIn(before.text));
      yield* assertGone(pidIn(before.text));
    }),
  );

  it.live("takes processes with it that do not listen", () =>
    Effect.gen(function* () {
      const text = yield* Effect.scoped(
        Effect.flatMap(start(backend(["--child"])), (engine) => Effect.map(ask(engine), (answer) => answer.text)),
      );
      yield* assertGone(pidIn(text));
    }),
  );

  it.live.each([
    ["--ends=RuntimeError: no weights in /srv/models/demo", "RuntimeError: no weights"],
    ["--refuses", "there is no such model"],
  ] as const)("fails with what its server says that is started with %s", ([arg, words]) =>
    Effect.gen(function* () {
      const log: LogLine[] = [];
      const error = yield* Effect.flip(Effect.scoped(start(backend([arg])))).pipe(Effect.provide(capturedLog(log)));
      assert.strictEqual(error._tag, "EngineStartFailed");
      assert.include(error.message, words);
      assert.include(error.message, `"attic"`);
    }),
  );

  it.live("fails when its server does not answer in time, or is not there", () =>
    Effect.gen(function* () {
      const silent = backend(["--silent"], { startTimeoutMs: 1_500 });
      const late = yield* Effect.flip(Effect.scoped(start(silent)));
      assert.include(late.message, "did not answer within 1500 ms");
      const missing = backend([], { command: ["no-such-program", "{port}"] });
      const error = yield* Effect.flip(Effect.scoped(start(missing)));
      assert.strictEqual(error._tag, "EngineUnavailable");
      assert.include(error.message, '"no-such-program" is not there');
    }),
  );

  it.live("tells its health", () =>
    Effect.gen(function* () {
      const engine = yield* start(backend());
      const seen = yield* Effect.forkChild(Stream.runCollect(Stream.take(engine.health, 3)));
      const { text } = yield* ask(engine);
      process.kill(pidIn(text), "SIGKILL");
      assert.deepStrictEqual([...(yield* Fiber.join(seen))], ["serving", "restarting", "serving"]);
    }),
  );

  it.live("leaves no process behind when its start is given up", () =>
    Effect.gen(function* () {
      const directory = mkdtempSync(join(tmpdir(), "mlxd-given-up-"));
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(directory, { recursive: true })));
      const command = ["/bin/sh", "-c", "echo $$ > begun; mv begun pid; exec sleep 1000", "{port}"] as const;
      const fiber = yield* Effect.forkChild(Effect.scoped(start(backend([], { command, directory }))));
      const file = join(directory, "pid");
      while (!existsSync(file)) yield* Effect.sleep(20);
      yield* Fiber.interrupt(fiber);
      yield* assertGone(Number(readFileSync(file, "utf8")));
    }),
  );

  it.live("fails where its server cannot even be started", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(start(backend(["\0"]))));
      assert.strictEqual(error._tag, "EngineStartFailed");
      assert.include(error.message, "it could not be started");
    }),
  );
});
