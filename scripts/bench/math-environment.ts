/** What both sides compute with: the same kernels of OpenBLAS, as many threads. */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

import { openBlasCore } from "../../src/service/config/EngineConfig.ts";

/** Kernels of OpenBLAS by the name that `OPENBLAS_CORETYPE` takes; undefined: those that OpenBLAS chooses. */
export type Kernels = string | undefined;

/** @param kernels by default those that the service chooses for this CPU */
export const mathEnvironment = (kernels: Kernels = bestKernels()): Record<string, string> => ({
  ...(kernels === undefined ? {} : { OPENBLAS_CORETYPE: kernels }),
  OPENBLAS_NUM_THREADS: String(availableParallelism()),
});

/** Of this CPU beside those that the service chooses: what CPUs without AVX-512 compute with. */
export const otherKernels = (): ReadonlyArray<string> => (bestKernels() === "SkylakeX" ? ["Haswell"] : []);

const bestKernels = (): Kernels => process.env["OPENBLAS_CORETYPE"] ?? openBlasCore(cpuFlags());

const cpuFlags = (): ReadonlySet<string> => {
  const line = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"));
  return new Set(line?.[1]?.trim().split(/\s+/));
};
