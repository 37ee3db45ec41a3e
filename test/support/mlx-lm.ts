/** mlx-lm from PyPI in a virtual environment of its own, in an ignored folder. */
import { execFile } from "node:child_process";
import { existsSync, globSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const cache = fileURLToPath(new URL("../../.cache/", import.meta.url));
/** As docs/benchmarks.md has them. */
const versions = { mlx: "0.32.4", "mlx-lm": "0.32.2" };
const venv = join(cache, `mlx-lm-${versions["mlx-lm"]}`);
const installTimeoutMs = 600_000;

export interface MlxLm {
  /** The folder with its programs. */
  readonly programs: string;
  /** What they are to be run with, beside the rest. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Installs it where pip can; gives why it cannot be had otherwise, with which a test that needs it is skipped. */
export const mlxLm = async (): Promise<MlxLm | string> => {
  try {
    if (!existsSync(venv)) await install();
    const environment = { HF_HUB_OFFLINE: "1", ...openBlas() };
    // A first import compiles its sources, and shows whether MLX loads here.
    await run(join(venv, "bin/python"), ["-c", "import mlx_lm.server"], { ...process.env, ...environment });
    return { programs: join(venv, "bin"), environment };
  } catch (error) {
    const [line = ""] = (error instanceof Error ? error.message : String(error)).trim().split("\n").slice(-1);
    return `mlx-lm ${versions["mlx-lm"]} is not to be had from PyPI: ${line}`;
  }
};

/** Programs of a virtual environment name its folder: it is made in place, and taken away where it did not come to its end. */
const install = async (): Promise<void> => {
  mkdirSync(cache, { recursive: true });
  const marks = mkdtempSync(join(cache, "tmp."));
  try {
    await run("python3", ["-m", "venv", venv]);
    const packages = [`mlx==${versions.mlx}`, `mlx-lm==${versions["mlx-lm"]}`];
    if (process.platform === "linux") packages.push(`mlx-cpu==${versions.mlx}`);
    await run(join(venv, "bin/pip"), ["install", "--quiet", "--disable-pip-version-check", ...packages]);
  } catch (error) {
    if (existsSync(venv)) renameSync(venv, join(marks, "broken"));
    throw error;
  } finally {
    rmSync(marks, { recursive: true, force: true });
  }
};

const run = (program: string, args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = process.env) =>
  promisify(execFile)(program, [...args], { env, timeout: installTimeoutMs });

/** The one that MLX's wheel brings is 30 times slower on the CPU. */
const openBlas = (): Readonly<Record<string, string>> => {
  const [library] = globSync("/usr/lib/*/libopenblas.so.0");
  return library === undefined ? {} : { LD_PRELOAD: library };
};
