import type { RemoteFile } from "./choose-files.ts";
import type { DownloadProgress } from "./Downloads.ts";

/** Tracks the progress of one download's files. */
export class ProgressMeter {
  readonly #files: ReadonlyArray<RemoteFile>;
  readonly #bytes = new Map<string, number>();
  readonly #done = new Set<string>();

  constructor(files: ReadonlyArray<RemoteFile>) {
    this.#files = files;
  }

  /** Bytes of a file that are on disk; fewer than before if some turned out to be wrong. */
  setBytes({ path }: RemoteFile, bytes: number): void {
    this.#bytes.set(path, bytes);
  }

  setDone(file: RemoteFile): void {
    this.#done.add(file.path);
    this.setBytes(file, file.size);
  }

  get progress(): DownloadProgress {
    return {
      bytesDone: sum([...this.#bytes.values()]),
      bytesTotal: sum(this.#files.map(({ size }) => size)),
      filesDone: this.#done.size,
      filesTotal: this.#files.length,
    };
  }
}

const sum = (values: ReadonlyArray<number>): number => values.reduce((total, value) => total + value, 0);
