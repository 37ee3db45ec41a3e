/** The file system of the embedded Postgres: Node's, with the two things that PGlite leaves out. */
import { fsyncSync } from "node:fs";
import type { postgresMod } from "@electric-sql/pglite";
import { NodeFS } from "@electric-sql/pglite/nodefs";

/**
 * The parts of Emscripten's file system that are used. They are not an API of PGlite, which is why its version is
 * pinned.
 */
interface Emscripten {
  readonly NODEFS: {
    readonly stream_ops: { fsync?: (stream: { readonly nfd: number }) => void };
    /** Turns an error of Node into one that Postgres understands. */
    readonly tryFSOperation: (operation: () => void) => void;
  };
}

/** The status with which Postgres leaves its main loop when a statement fails, and only the statement. */
const statementFailed = 100;

export class DurableFS extends NodeFS {
  /** How often the file system was asked to flush. */
  syncs = 0;
  private readonly onEnd: (error: unknown) => void;

  /** @param onEnd Postgres has ended; called before PGlite goes on */
  constructor(directory: string, onEnd: (error: unknown) => void) {
    super(directory);
    this.onEnd = onEnd;
  }

  /** PGlite never flushes its writes to the disk. */
  override async init(...[pglite, options]: Parameters<NodeFS["init"]>): ReturnType<NodeFS["init"]> {
    const { emscriptenOpts } = await super.init(pglite, options);
    const flush = (module: unknown): void => {
      const { NODEFS } = module as Emscripten;
      NODEFS.stream_ops.fsync = ({ nfd }) => {
        this.syncs += 1;
        NODEFS.tryFSOperation(() => fsyncSync(nfd));
      };
    };
    return { emscriptenOpts: { ...emscriptenOpts, preRun: [...(emscriptenOpts.preRun ?? []), flush] } };
  }

  /** Called when Postgres is loaded and has not started. */
  override async initialSyncFs(): Promise<void> {
    await super.initialSyncFs();
    if (this.pg !== undefined) this.noticeEnd(this.pg.Module);
  }

  /**
   * PGlite calls Postgres again after any exception, even one that has ended it: a panic (for example because the disk
   * of its log is full), an exit, a trap. After that it loops for ever, or reports success.
   */
  private noticeEnd(postgres: postgresMod.PostgresMod): void {
    const run = postgres._PostgresMainLoopOnce;
    postgres._PostgresMainLoopOnce = () => {
      try {
        run();
      } catch (error) {
        if ((error as { readonly status?: unknown } | undefined)?.status !== statementFailed) this.onEnd(error);
        throw error;
      }
    };
  }
}
