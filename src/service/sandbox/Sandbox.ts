/**
 * Work on what a caller or a downloaded model brings: texts, schemas, templates, tokenizers. It may take any time and
 * memory, so it is done in processes beside the service, within limits; what passes them ends with its process.
 */
import { Context, Effect, Layer } from "effect";

import { SandboxConfig } from "../config/SandboxConfig.ts";
import { CurrentCall } from "../domain/Call.ts";
import { itself, shareOf } from "../domain/Caller.ts";
import { JobFailed } from "./JobFailed.ts";
import type { jobs } from "./lane/jobs.ts";
import { LanePool } from "./LanePool.ts";

type Jobs = typeof jobs;
export type JobName = keyof Jobs;
export type JobInput<Name extends JobName> = Parameters<Jobs[Name]>[0];
export type JobOutput<Name extends JobName> = Awaited<ReturnType<Jobs[Name]>>;

export interface JobOptions {
  /** Bytes of what the caller brings. Over `smallInputBytes` it runs where it keeps no small job waiting. */
  readonly inputBytes: number;
  /**
   * What the job works with beside its input: jobs of one subject are done by the same process where that is possible,
   * and do not take every process there is.
   *
   * @default the job's name
   */
  readonly subject?: string;
}

/** Whoever sends less than that is hardly to blame for what it takes. */
export const smallInputBytes = 65_536;

export class Sandbox extends Context.Service<
  Sandbox,
  {
    /**
     * Runs a job of `lane/jobs.ts` in the turns of the fiber's caller. Input and output are structured clones, so they hold data only. Interruption gives up
     * the job's place, or ends its process when it has run for long.
     */
    readonly run: <Name extends JobName>(
      name: Name,
      input: JobInput<Name>,
      options: JobOptions,
    ) => Effect.Effect<JobOutput<Name>, JobFailed>;
  }
>()("mlxd/sandbox/Sandbox") {
  static readonly layer: Layer.Layer<Sandbox, never, SandboxConfig> = Layer.effect(
    Sandbox,
    Effect.gen(function* () {
      const settings = yield* SandboxConfig;
      const services = yield* Effect.context<never>();
      const log = (event: string, details: Readonly<Record<string, string | number>>): void =>
        Effect.runSyncWith(services)(Effect.annotateLogs(Effect.logWarning(event), details));
      const pool = yield* Effect.acquireRelease(
        Effect.sync(() => new LanePool({ ...settings, log })),
        (made) => Effect.sync(() => made.close()),
      );
      pool.warm();
      return Sandbox.of({
        run: (name, input, { inputBytes, subject = name }) =>
          Effect.flatMap(CurrentCall, ({ caller, fairnessId }) =>
            Effect.callback<JobOutput<typeof name>, JobFailed>((resume) => {
              const abandon = pool.submit({
                name,
                input,
                isLarge: inputBytes > smallInputBytes,
                share: caller === itself ? undefined : shareOf(caller, fairnessId),
                subject,
                // The table of jobs has its type, and the lane is this program's own.
                onOutput: (output) => resume(Effect.succeed(output as JobOutput<typeof name>)),
                onFailure: (reason, cause) => resume(Effect.fail(new JobFailed({ job: name, reason, cause }))),
              });
              return Effect.sync(abandon);
            }),
          ),
      });
    }),
  );
}
