/** A checkpoint cannot be loaded. Callers see the message, so it names a file, tensor or key and never a path. */
export class LoadError extends Error {
  override readonly name = "LoadError";
}

/**
 * The machine lacks the memory to load a checkpoint, or another resource that runs out along with it. It says nothing
 * about the checkpoint.
 */
export class MemoryError extends Error {
  override readonly name = "MemoryError";
}

/** The messages of the binding, V8 and the system when memory runs out, or when a thread cannot be started. */
export const isOutOfMemory = (cause: unknown): boolean =>
  cause instanceof MemoryError ||
  (cause instanceof Error &&
    /bad_alloc|unable to allocate|cannot allocate memory|allocation failed|out of memory|ENOMEM|Resource temporarily unavailable/i.test(
      cause.message,
    ));
