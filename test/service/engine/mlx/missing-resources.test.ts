/** Engines that cannot be started for what the machine lacks: told as that, and not as a broken checkpoint. */
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, describe, it } from "@effect/vitest";
import { Effect, Fiber } from "effect";

import { engineProcesses } from "../../../support/engine-processes.ts";
import { writeRandomCheckpoint } from "../../worker/random-checkpoint.ts";
import { mlxEngines, startMlxEngine } from "../../../support/mlx-engines.ts";

/** A group of processes that may have so much memory together; undefined where it cannot be made. */
const limitedGroup = (bytes: number) => {
  const root = "/sys/fs/cgroup";
  const isFirst = existsSync(join(root, "memory"));
  const group = join(root, isFirst ? "memory" : "", `mlxd-test-${process.pid}`);
  try {
    mkdirSync(group);
    writeFileSync(join(group, isFirst ? "memory.limit_in_bytes" : "memory.max"), String(bytes));
    return {
      take: (pid: number) => writeFileSync(join(group, "cgroup.procs"), String(pid)),
      remove: () => rmdirSync(group),
    };
  } catch {
    if (existsSync(group)) rmdirSync(group);
    return undefined;
  }
};

describe("an engine that cannot be started", () => {
  const group = process.platform === "linux" ? limitedGroup(100 * 1024 ** 2) : undefined;
  const reason = group === undefined ? " (skipped: no control group can be made here, which takes root on Linux)" : "";
  it.live.skipIf(group === undefined)(
    `for lack of memory is told so, whatever the budget says${reason}`,
    () =>
      Effect.gen(function* () {
        // 130 MiB once it is loaded.
        const directory = writeRandomCheckpoint({
          modelType: "qwen2",
          hiddenSize: 512,
          layers: 1,
          heads: 8,
          kvHeads: 8,
          vocabularySize: 64_000,
        });
        const failed = yield* Effect.forkChild(Effect.flip(Effect.scoped(startMlxEngine(directory))), {
          startImmediately: true,
        });
        let taken = false;
        while (!taken) {
          for (const pid of engineProcesses()) {
            group?.take(pid);
            taken = true;
          }
          yield* Effect.sleep("20 millis");
        }
        const error = yield* Fiber.join(failed);
        assert.strictEqual(error._tag, "OutOfMemory");
        assert.match(error.message, /the machine has not enough memory to load model "tiny"/);
        assert.deepEqual(engineProcesses(), []);
      }).pipe(Effect.provide(mlxEngines()), Effect.ensuring(Effect.sync(() => group?.remove()))),
    60_000,
  );

  it.live("for lack of MLX is told so, and how the process found it missing", () => {
    const folder = mkdtempSync(join(tmpdir(), "mlxd-no-mlx-"));
    const hook = join(folder, "no-mlx.cjs");
    // As where neither binding was ever installed, or their binaries do not fit the machine.
    writeFileSync(
      hook,
      `const { Module } = require("node:module");
       const load = Module._load;
       Module._load = (name, ...rest) => {
         if (name === "@frost-beta/mlx" || name.endsWith(".node")) throw new Error("libopenblas.so.0: cannot open shared object file");
         return load(name, ...rest);
       };`,
    );
    return Effect.gen(function* () {
      const directory = writeRandomCheckpoint({
        modelType: "qwen2",
        hiddenSize: 32,
        layers: 1,
        heads: 4,
        kvHeads: 2,
        vocabularySize: 64,
      });
      const error = yield* Effect.flip(Effect.scoped(startMlxEngine(directory)));
      assert.strictEqual(error._tag, "EngineUnavailable");
      assert.match(error.message, /the engine "mlx" does not run on this machine: .*libopenblas\.so\.0/);
    }).pipe(
      Effect.provide(mlxEngines({ environment: { ...process.env, NODE_OPTIONS: `--require ${hook}` } })),
      Effect.ensuring(Effect.sync(() => rmSync(folder, { recursive: true }))),
    );
  });
});
