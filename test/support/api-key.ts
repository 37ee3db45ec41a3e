/** An API key and what mlxd.yaml says of it. */
import { createHash } from "node:crypto";

/** Not random, and long enough. */
export const apiKey = (id: string): string => `mlxd_test-${id}-${"0123456789".repeat(4)}`;

export const keyHash = (key: string): string => `sha256:${createHash("sha256").update(key).digest("hex")}`;

/** As `access.tenants.TENANT.keys` has it. */
export const storedKey = (id: string) => ({ id, hash: keyHash(apiKey(id)) });

export const bearer = (id: string): Record<string, string> => ({ authorization: `Bearer ${apiKey(id)}` });
