/** One process of a managed server at a time, and a real one. */
import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";

import type { StartStage } from "../../../../src/service/engine/Engines.ts";
import { connectionsTo } from "../../../../src/service/engine/backends/connections.ts";
import {
  liveServer,
  type ManagedBackend,
  type RunningServer,
} from "../../../../src/service/engine/managed/server-life.ts";
import { capturedLog, type LogLine } from "../../../support/captured-log.ts";
import { managedBackend } from "../../../support/managed-backend.ts";
import { servedModel } from "../../../support/served-model.ts";

const model = servedModel({ id: "demo", source: "org/demo", engine: "vllm" });

/** Lives a process to its end. */
const live = (backend: ManagedBackend, onServing: (server: RunningServer) => Effect.Effect<void> = () => Effect.void) =>
  Effect.gen(function* () {
    const told: (StartStage | "serving" | "over")[] = [];
    const tell = (what: (typeof told)[number]) => Effect.sync(() => void told.push(what));
    let residentBytes = 0;
    const log: LogLine[] = [];
    const death = yield* liveServer(model, backend, connectionsTo(backend), {
      onStage: tell,
      onServing: (server) => Effect.andThen(tell("serving"), onServing(server)),
      onOver: tell("over"),
      onMeasured: (bytes) => (residentBytes = Math.max(residentBytes, bytes)),
    }).pipe(Effect.provide(capturedLog(log)));
    return { death, told, residentBytes, log };
  }).pipe(Effect.scoped);

const shell = (script: string) => managedBackend([], { command: ["/bin/sh", "-c", script, "{port}"] });

describe("a process of a managed server", () => {
  it.live("tells each stage, what it takes, and how it ended, with what it wrote for the operator", () =>
    Effect.gen(function* () {
      const served: RunningServer[] = [];
      const { death, told, residentBytes, log } = yield* live(managedBackend(), (server) => {
        served.push(server);
        const die = { messages: [{ role: "user", content: "die" }] };
        return Effect.promise(async () => {
          const init = { method: "POST", body: JSON.stringify(die) };
          await fetch(`${server.baseUrl}/chat/completions`, init).catch(() => {});
        });
      });
      assert.deepStrictEqual(death, { phase: "serving", how: "it ended with signal SIGKILL" });
      assert.deepStrictEqual(told, ["server-starting", "model-serving", "model-loading", "serving", "over"]);
      assert.isAbove(residentBytes, 1024 ** 2);
      const [{ over } = assert.fail("it did not serve")] = served;
      yield* over;
      assert.include(JSON.stringify(log), "the server of a model ends");
    }),
  );

  it.live.each([
    ["has no program", managedBackend([], { command: ["no-such-program", "{port}"] }), "missing", "is not there"],
    ["finds its port taken", shell("echo 'Address already in use' >&2; exit 1"), "port", "Address already in use"],
    ["ends", shell("echo 'no weights'; exit 3"), undefined, "it ended with exit code 3; it wrote: no weights"],
    ["cannot be started", managedBackend(["\0"]), undefined, "it could not be started: "],
    ["has no such model", managedBackend(["--refuses"]), undefined, "it refuses a first question (HTTP 404)"],
    ["takes long", managedBackend(["--silent"], { startTimeoutMs: 1_000 }), undefined, "did not answer within 1000 ms"],
  ] as const)("dies as it begins where it %s", ([, backend, cause, how]) =>
    Effect.gen(function* () {
      const { death, told } = yield* live(backend);
      assert.strictEqual(death.phase, "loading");
      assert.strictEqual(death.cause, cause);
      assert.include(death.how, how);
      assert.notInclude(told, "serving");
    }),
  );
});
