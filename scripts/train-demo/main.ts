/**
 * Trains the demo model from nothing and writes models/demo: `npm run train:demo`.
 * `--measure` only measures what is there and writes the card. For trials: `--out FOLDER`, `--every STEPS`
 * (between two looks at held-out questions).
 */
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

const ready = "MLXD_TRAIN_DEMO_READY";

if (process.env[ready] === undefined) restartTuned();
else {
  const text = { type: "string" } as const;
  const { values } = parseArgs({ options: { measure: { type: "boolean" }, out: text, every: text } });
  const { measureDemo, trainDemo } = await import("./run.ts");
  const folder = values.out ?? join(import.meta.dirname, "../../models/demo");
  mkdirSync(folder, { recursive: true });
  if (values.measure === true) await measureDemo(folder);
  else {
    await trainDemo({ folder, ...(values.every === undefined ? {} : { every: Number(values.every) }) });
  }
}

/**
 * Starts itself again with the environment that MLX's libraries read when they are loaded: the kernels that fit the CPU, one
 * OpenBLAS thread for each of our two streams, and an allocator that keeps its pages (fresh ones cost more than the arithmetic).
 */
function restartTuned(): void {
  const keepPages = String(1 << 30);
  const child = spawn(process.execPath, ["--expose-gc", ...process.argv.slice(1)], {
    stdio: "inherit",
    env: {
      ...process.env,
      [ready]: "1",
      ...openblasKernels(),
      OPENBLAS_NUM_THREADS: String(Math.max(1, Math.floor(availableParallelism() / 2))),
      MALLOC_ARENA_MAX: "1",
      MALLOC_MMAP_THRESHOLD_: keepPages,
      MALLOC_TRIM_THRESHOLD_: keepPages,
      MALLOC_TOP_PAD_: String(1 << 28),
    },
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  child.on("exit", (code) => {
    process.exitCode = code ?? 1;
  });
}

/** OpenBLAS mistakes some CPUs for old ones and is then several times slower. */
function openblasKernels(): Record<string, string> {
  if (process.platform !== "linux" || process.arch !== "x64") return {};
  const flags = readFileSync("/proc/cpuinfo", "utf8");
  if (flags.includes(" avx512f")) return { OPENBLAS_CORETYPE: "SkylakeX" };
  return flags.includes(" avx2") ? { OPENBLAS_CORETYPE: "Haswell" } : {};
}
