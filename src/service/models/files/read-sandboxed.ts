/** Reads models' folders in the sandbox: their files are untrusted, and reading must not hold up calls. */
import { Effect } from "effect";

import { type Call, CurrentCall } from "../../domain/Call.ts";
import { itself } from "../../domain/Caller.ts";
import { CheckpointInvalid } from "../../checkpoint/checkpoint-files.ts";
import { type AdapterFiles, readAdapter } from "../../checkpoint/read-adapter.ts";
import { type Checkpoint, readCheckpoint } from "../../checkpoint/read-checkpoint.ts";
import type { Unreadable } from "../../sandbox/lane/checkpoint.ts";
import type { JobName, Sandbox } from "../../sandbox/Sandbox.ts";

/** How folders are read. Both reject with CheckpointInvalid. */
export interface ReadFolders {
  readonly checkpoint: (directory: string) => Promise<Checkpoint>;
  readonly adapter: (directory: string) => Promise<AdapterFiles>;
}

/** Reads in this process, for trusted files. */
export const readHere: ReadFolders = { checkpoint: readCheckpoint, adapter: readAdapter };

type Reading = Extract<JobName, "readAdapter" | "readCheckpoint" | "readRevision" | "readStamp">;

export const readSandboxed = (sandbox: Sandbox["Service"]): ReadFolders => ({
  checkpoint: async (directory) => readable(await Effect.runPromise(readFolder(sandbox, "readCheckpoint", directory))),
  adapter: async (directory) => readable(await Effect.runPromise(readFolder(sandbox, "readAdapter", directory))),
});

const readable = <A extends object>(read: A | Unreadable | Unread): A => {
  if ("isUnread" in read) throw new CheckpointUnread(read.file, read.problem);
  if ("problem" in read) throw new CheckpointInvalid(read.file, read.problem);
  return read;
};

/** The folder could not be read to the end, which says nothing about its files. */
export class CheckpointUnread extends CheckpointInvalid {}

interface Unread extends Unreadable {
  readonly isUnread: true;
}

/**
 * Runs a job that reads a folder. If the job fails, the folder counts as unreadable, unless its process was killed from
 * outside.
 */
export const readFolder = <Name extends Reading>(sandbox: Sandbox["Service"], job: Name, directory: string) =>
  runReading(sandbox, job, directory).pipe(
    Effect.catch(({ cause, reason }) => {
      const unreadable = { file: "the model's folder", problem: `cannot be read: that ${cause}` };
      return Effect.succeed<Unreadable | Unread>(reason === "killed" ? { ...unreadable, isUnread: true } : unreadable);
    }),
  );

/**
 * Reads one folder after another if they are read quickly. This counts as the service's own work even within a call, so
 * that callers whose jobs fill the queue do not make models unreadable.
 */
export const runReading = <Name extends Reading>({ run }: Sandbox["Service"], job: Name, directory: string) =>
  run(job, directory, { inputBytes: 0, subject: "model folders", isForgotten: true }).pipe(
    Effect.updateService(CurrentCall, (call): Call => ({ ...call, caller: itself })),
  );
