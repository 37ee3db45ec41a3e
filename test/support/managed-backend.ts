/** The backend of a server that is started here, whose program does as it is told (managed-server-program.ts). */
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";

import type { ManagedServerSettings } from "../../src/service/config/managed-backend.ts";
import type { ManagedBackend } from "../../src/service/engine/managed/server-life.ts";

const program = fileURLToPath(new URL("managed-server-program.ts", import.meta.url));

/** @param args of the program */
export const managedBackend = (
  args: ReadonlyArray<string> = [],
  managed: Partial<ManagedServerSettings> = {},
): ManagedBackend => ({
  name: "attic",
  engine: "vllm",
  baseUrl: "http://127.0.0.1/v1",
  apiKey: undefined,
  permits: 4,
  connectTimeoutMs: 60_000,
  readTimeoutMs: 60_000,
  writeTimeoutMs: 60_000,
  poolTimeoutMs: 60_000,
  probeIntervalMs: undefined,
  managed: {
    command: [process.execPath, program, "--port={port}", ...args],
    environment: { ...process.env, WITH: "{model} on {host}" },
    directory: tmpdir(),
    startTimeoutMs: 120_000,
    ...managed,
  },
});
