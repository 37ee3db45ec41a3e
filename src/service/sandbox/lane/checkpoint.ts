/** Jobs that read the configuration in a model's folder. */
import { CheckpointInvalid } from "../../checkpoint/checkpoint-files.ts";
import type { AdapterFiles } from "../../checkpoint/read-adapter.ts";
import type { Checkpoint } from "../../checkpoint/read-checkpoint.ts";
import { beginPhase, readingLimits } from "./phases.ts";

/** What is wrong with the folder, taken from CheckpointInvalid. */
export interface Unreadable {
  readonly file: string;
  readonly problem: string;
}

export const readCheckpoint = (directory: string): Promise<Checkpoint | Unreadable> =>
  // Imported on demand: jobs with texts do not need it, and start faster without it.
  reading(async () => (await import("../../checkpoint/read-checkpoint.ts")).readCheckpoint(directory));

export const readRevision = (directory: string): Promise<string | Unreadable> =>
  reading(async () => (await import("../../checkpoint/revision.ts")).readRevision(directory));

export const readStamp = (directory: string): Promise<string | undefined | Unreadable> =>
  reading(async () => (await import("../../checkpoint/revision.ts")).readStamp(directory));

export const readAdapter = (directory: string): Promise<AdapterFiles | Unreadable> =>
  reading(async () => (await import("../../checkpoint/read-adapter.ts")).readAdapter(directory));

const reading = async <A>(read: () => Promise<A>): Promise<A | Unreadable> => {
  beginPhase(readingLimits);
  try {
    return await read();
  } catch (error) {
    if (error instanceof CheckpointInvalid) return { file: error.file, problem: error.problem };
    throw error;
  }
};
