/** Reading models' folders in the sandbox: their files may be of any make, and calls go on meanwhile. */
import { Effect } from "effect";

import { CheckpointInvalid } from "../../checkpoint/checkpoint-files.ts";
import type { Checkpoint } from "../../checkpoint/read-checkpoint.ts";
import type { Unreadable } from "../../sandbox/lane/checkpoint.ts";
import { JobOwner } from "../../sandbox/JobOwner.ts";
import type { JobName, Sandbox } from "../../sandbox/Sandbox.ts";

/** Reads what a model's folder says of it. Rejects with CheckpointInvalid. */
export type ReadCheckpoint = (directory: string) => Promise<Checkpoint>;

type Reading = Extract<JobName, "readCheckpoint" | "readRevision" | "readStamp">;

export const readSandboxed =
  (sandbox: Sandbox["Service"]): ReadCheckpoint =>
  async (directory) => {
    const read = await Effect.runPromise(readFolder(sandbox, "readCheckpoint", directory));
    if ("problem" in read) throw new CheckpointInvalid(read.file, read.problem);
    return read;
  };

/** What a job says of a folder; a job without a result makes the folder unreadable. */
export const readFolder = <Name extends Reading>(sandbox: Sandbox["Service"], job: Name, directory: string) =>
  runReading(sandbox, job, directory).pipe(
    Effect.catch(({ cause }) =>
      Effect.succeed<Unreadable>({ file: "the model's folder", problem: `cannot be read: that ${cause}` }),
    ),
  );

/**
 * One folder after another, as far as these are read quickly. It is the service's own work, also within a call: callers
 * whose jobs fill the queue do not make models unreadable.
 */
export const runReading = <Name extends Reading>({ run }: Sandbox["Service"], job: Name, directory: string) =>
  run(job, directory, { inputBytes: 0, subject: "model folders" }).pipe(Effect.provideService(JobOwner, ""));
