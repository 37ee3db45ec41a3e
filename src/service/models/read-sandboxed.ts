/** Reading models' folders in the sandbox: their files may be of any make, and calls go on meanwhile. */
import { Effect } from "effect";

import { CheckpointInvalid } from "../checkpoint/checkpoint-files.ts";
import type { Unreadable } from "../sandbox/lane/checkpoint.ts";
import type { JobName, Sandbox } from "../sandbox/Sandbox.ts";
import type { ReadCheckpoint } from "./catalog.ts";

type Reading = Extract<JobName, "readCheckpoint" | "readRevision" | "readStamp">;

export const readSandboxed =
  (sandbox: Sandbox["Service"]): ReadCheckpoint =>
  async (directory) => {
    const read = await Effect.runPromise(readFolder(sandbox, "readCheckpoint", directory));
    if ("problem" in read) throw new CheckpointInvalid(read.file, read.problem);
    return read;
  };

/** One folder after another, as far as these are read quickly. */
export const readFolder = <Name extends Reading>({ run }: Sandbox["Service"], job: Name, directory: string) =>
  run(job, directory, { inputBytes: 0, subject: "model folders" }).pipe(
    Effect.catch(({ cause }) =>
      Effect.succeed<Unreadable>({ file: "the model's folder", problem: `cannot be read: that ${cause}` }),
    ),
  );
