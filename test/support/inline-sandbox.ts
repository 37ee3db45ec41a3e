/** The sandbox's jobs in this process: for tests that are not about what a job takes. */
import { Effect, Layer } from "effect";

import { JobFailed } from "../../src/service/sandbox/JobFailed.ts";
import { jobs } from "../../src/service/sandbox/lane/jobs.ts";
import { type JobInput, type JobName, type JobOutput, Sandbox } from "../../src/service/sandbox/Sandbox.ts";

const perform = async <Name extends JobName>(name: Name, input: JobInput<Name>): Promise<JobOutput<Name>> =>
  (await (jobs[name] as (input: JobInput<Name>) => unknown)(input)) as JobOutput<Name>;

export const inlineSandbox: Layer.Layer<Sandbox> = Layer.succeed(
  Sandbox,
  Sandbox.of({
    run: (name, input) =>
      Effect.tryPromise({
        try: () => perform(name, input),
        catch: (error) => new JobFailed({ job: name, reason: "threw", cause: `fails: ${(error as Error).message}` }),
      }),
  }),
);
