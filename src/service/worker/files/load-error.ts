/** A checkpoint cannot be loaded. The message is told to callers: it names a file, tensor or key, never a path. */
export class LoadError extends Error {
  override readonly name = "LoadError";
}

/** The machine lacks the memory to load a checkpoint, or another resource that is short with it; it says nothing of the checkpoint. */
export class MemoryError extends Error {
  override readonly name = "MemoryError";
}

/** What the binding, V8 and the system say when there is no memory; of a thread that cannot be started, too. */
export const isOutOfMemory = (cause: unknown): boolean =>
  cause instanceof MemoryError ||
  (cause instanceof Error &&
    /bad_alloc|unable to allocate|cannot allocate memory|allocation failed|out of memory|ENOMEM|Resource temporarily unavailable/i.test(
      cause.message,
    ));
