/**
 * What a running service holds on to, told apart from what V8 has not collected yet or keeps room for. Loaded into the service by
 * `--import`: on SIGUSR2 it collects its garbage and writes how many bytes are left, heap and buffers, to the file that
 * MLXD_TEST_HELD_MEMORY names.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { RunningService } from "./running-service.ts";

const file = process.env["MLXD_TEST_HELD_MEMORY"];
// Engine and sandbox processes have the same environment.
if (file !== undefined && process.argv[1]?.endsWith("service/main.ts") === true) {
  process.on("SIGUSR2", () => {
    for (let round = 0; round < 2; round++) globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    writeFileSync(file, String(heapUsed + external));
  });
}

export interface HeldMemory {
  /** For the service. */
  readonly environment: Readonly<Record<string, string>>;
  readonly bytes: (service: RunningService) => Promise<number>;
  readonly remove: () => void;
}

export const heldMemory = (): HeldMemory => {
  const folder = mkdtempSync(join(tmpdir(), "mlxd-held-memory-"));
  const told = join(folder, "bytes");
  return {
    environment: { MLXD_TEST_HELD_MEMORY: told, NODE_OPTIONS: `--expose-gc --import ${import.meta.filename}` },
    bytes: async ({ process: { pid = 0 } }) => {
      writeFileSync(told, "");
      process.kill(pid, "SIGUSR2");
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        const text = readFileSync(told, "utf8");
        if (text !== "") return Number(text);
      }
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
};
