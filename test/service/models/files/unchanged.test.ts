/**
 * Sandbox processes that were killed, and callers whose jobs filled the queue, made models look changed or broken whose
 * files were as ever.
 */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, describe, it } from "@effect/vitest";
import { Effect, Exit, Fiber, Layer } from "effect";

import { SandboxConfig } from "../../../../src/service/config/SandboxConfig.ts";
import type { ModelFacts } from "../../../../src/service/domain/model.ts";
import { readFolder } from "../../../../src/service/models/files/read-sandboxed.ts";
import { assertUnchanged } from "../../../../src/service/models/files/unchanged.ts";
import { JobFailed } from "../../../../src/service/sandbox/JobFailed.ts";
import { type Call, CurrentCall } from "../../../../src/service/domain/Call.ts";
import { anonymous } from "../../../../src/service/domain/Caller.ts";
import { maxWaitingOfShare } from "../../../../src/service/sandbox/WaitingJobs.ts";
import { Sandbox } from "../../../../src/service/sandbox/Sandbox.ts";
import { realModels } from "../../../support/model-folder.ts";

const sandbox = Sandbox.layer.pipe(
  Layer.provide(
    Layer.succeed(SandboxConfig, { timeLimitMs: 60_000, memoryBytes: 256 * 1024 ** 2, lanes: 2, environment: {} }),
  ),
);
// No other fact is looked at.
const facts = (directory: string, revision: string) => ({ id: "demo", directory, revision }) as ModelFacts;
const failing = (reason: JobFailed["reason"]) =>
  Sandbox.of({ run: (job) => Effect.fail(new JobFailed({ job, reason, cause: "has no result" })) });

describe("whether a model is unchanged", () => {
  it.effect("is not denied by a sandbox process that was ended from outside", () =>
    assertUnchanged(failing("crashed"), facts("/model", "abc"), undefined),
  );

  it.effect("is denied where its files take more than they may", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(assertUnchanged(failing("memory-limit"), facts("/model", "abc"), undefined));
      assert.isTrue(Exit.isFailure(exit));
    }),
  );

  it.live("is known while callers' jobs fill the queue", () =>
    Effect.gen(function* () {
      const service = yield* Sandbox;
      const ofCaller = Effect.updateService(CurrentCall, (call): Call => ({ ...call, caller: anonymous("flood") }));
      const folder = mkdtempSync(join(tmpdir(), "mlxd-unchanged-"));
      cpSync(realModels.demo, folder, { recursive: true });
      // Jobs of one caller wait for one another.
      const flood = yield* Effect.forEach(
        Array.from({ length: maxWaitingOfShare + 50 }),
        () => Effect.exit(service.run("readRevision", realModels.demo, { inputBytes: 1, subject: "flood" })),
        { concurrency: "unbounded" },
      ).pipe(ofCaller, Effect.forkScoped);
      yield* Effect.yieldNow;
      const first = yield* readFolder(service, "readRevision", folder).pipe(ofCaller);
      if (typeof first !== "string") throw new Error(`unreadable: ${first.problem}`);
      yield* assertUnchanged(service, facts(folder, first), undefined);
      writeFileSync(join(folder, "generation_config.json"), '{"top_k": 7}');
      assert.isTrue(Exit.isFailure(yield* Effect.exit(assertUnchanged(service, facts(folder, first), undefined))));
      yield* Fiber.interrupt(flood);
      rmSync(folder, { recursive: true });
    }).pipe(Effect.scoped, Effect.provide(sandbox)),
  );
});
