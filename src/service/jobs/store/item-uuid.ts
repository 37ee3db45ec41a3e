/** The id of an item in its queue: the same for the same item, however often it is written. */
import { createHash } from "node:crypto";

/** UUID version 5: https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-5 */
export const itemUuid = (jobId: string, index: number): string => {
  const namespace = Buffer.from(jobId.replaceAll("-", ""), "hex");
  const hash = createHash("sha1").update(namespace).update(String(index)).digest().subarray(0, 16);
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = hash.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
};
