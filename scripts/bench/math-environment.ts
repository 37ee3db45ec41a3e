/** What both sides compute with: the kernels that fit this CPU, as many threads. */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

import { openBlasCore } from "../../src/service/config/EngineConfig.ts";

export const mathEnvironment = (): Record<string, string> => {
  const core = openBlasCore(cpuFlags());
  return {
    ...(core === undefined ? {} : { OPENBLAS_CORETYPE: core }),
    OPENBLAS_NUM_THREADS: String(availableParallelism()),
  };
};

const cpuFlags = (): ReadonlySet<string> => {
  const line = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"));
  return new Set(line?.[1]?.trim().split(/\s+/));
};
