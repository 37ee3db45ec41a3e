/** Remembers what was last read from each model's folder, so that unchanged folders need not be read again. */
import type { Checkpoint } from "../../checkpoint/read-checkpoint.ts";
import type { ReadFolders } from "./read-sandboxed.ts";

export class FolderReadings {
  private readonly readAnew: ReadFolders;
  private last: ReadonlyMap<string, Promise<Checkpoint>> = new Map();

  constructor(readAnew: ReadFolders) {
    this.readAnew = readAnew;
  }

  /**
   * Begins to read all folders once.
   *
   * @param isKnown folders that need not be read again
   * @returns how to read each folder, and a function that replaces the remembered readings with these
   */
  begin(isKnown: (directory: string) => boolean): { readonly read: ReadFolders; readonly commit: () => void } {
    const now = new Map<string, Promise<Checkpoint>>();
    return {
      read: {
        ...this.readAnew,
        checkpoint: (directory) => {
          const known = isKnown(directory) ? this.last.get(directory) : undefined;
          const reading = known ?? this.readAnew.checkpoint(directory);
          now.set(directory, reading);
          return reading;
        },
      },
      commit: () => {
        this.last = now;
      },
    };
  }
}
