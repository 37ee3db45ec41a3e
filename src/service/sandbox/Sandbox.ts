/**
 * Runs work on untrusted input, from callers or downloaded models: texts, schemas, templates, tokenizers. Such work may
 * take any amount of time and memory, so it runs in separate processes within limits, and a job that exceeds them takes
 * only its own process down.
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
  /**
   * Size of the caller's input. A job above `smallInputBytes` runs in a lane for large jobs, where no small job waits
   * behind it.
   */
  readonly inputBytes: number;
  /**
   * What the job works with beside its input. Jobs of one subject run in the same process if possible, and never occupy
   * all processes.
   *
   * @default the job's name
   */
  readonly subject?: string;
  /**
   * Whether nothing stays loaded of the job, so that any other subject may be next in its process.
   *
   * @default false
   */
  readonly isForgotten?: boolean;
}

/**
 * The largest input that counts as small. If so little input takes too long, the model's files are to blame, not the
 * caller.
 */
export const smallInputBytes = 65_536;

export class Sandbox extends Context.Service<
  Sandbox,
  {
    /**
     * Runs a job of `lane/jobs.ts`, in turn with the jobs of other callers. Input and output are structured clones, so
     * they hold data only. Interruption removes a waiting job, and ends the process of one that has been running for
     * long.
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
        run: (name, input, { inputBytes, subject = name, isForgotten = false }) =>
          Effect.flatMap(CurrentCall, ({ caller, fairnessId }) =>
            Effect.callback<JobOutput<typeof name>, JobFailed>((resume) => {
              const abandon = pool.submit({
                name,
                input,
                isLarge: inputBytes > smallInputBytes,
                share: caller === itself ? undefined : shareOf(caller, fairnessId),
                subject,
                isForgotten,
                // The job table gives the output's type, and the lane runs this service's own program.
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
