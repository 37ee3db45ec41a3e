import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";

import type { RemoteFile } from "./choose-files.ts";

/**
 * Whether a file on disk matches the hub's description of it. Reads the whole file; ends early when the signal fires.
 */
export const isIntact = async (
  path: string,
  { size, checksum }: Pick<RemoteFile, "size" | "checksum">,
  signal: AbortSignal,
): Promise<boolean> => {
  if (checksum === undefined) return true;
  const isBlob = checksum.algorithm === "git-blob-sha1";
  const hash = createHash(isBlob ? "sha1" : "sha256");
  // git hashes a blob with its type and length in front.
  if (isBlob) hash.update(`blob ${size}\0`);
  const content: AsyncIterable<Buffer> = createReadStream(path, { signal, highWaterMark: 1024 ** 2 });
  for await (const chunk of content) hash.update(chunk);
  return hash.digest("hex") === checksum.digest;
};
