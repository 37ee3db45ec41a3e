/** A checkpoint cannot be loaded. The message is told to callers: it names a file, tensor or key, never a path. */
export class LoadError extends Error {
  override readonly name = "LoadError";
}
