/** Finds out which MLX an engine would load, in a separate process, because loading MLX may end the process. */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

import { engineEnvironment } from "../config/EngineConfig.ts";
import { versions } from "../config/versions.ts";
import { processEnd } from "../engine/mlx/last-words.ts";
import type { MlxDescription } from "../worker/protocol/mlx-description.ts";
import { type Finding, note, ok, problem } from "./Finding.ts";

export interface MlxAnswer {
  readonly parts: ReadonlyArray<MlxDescription>;
  /** How the process ended if it failed. */
  readonly failure: string | undefined;
}

/** @param binding the value of MLXD_BINDING */
export const askForMlx = (binding: string): Promise<MlxAnswer> =>
  new Promise((resolve) => {
    const child = fork(fileURLToPath(new URL("../worker/describe.ts", import.meta.url)), {
      execArgv: ["--expose-gc"],
      env: { ...engineEnvironment(), MLXD_BINDING: binding },
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      timeout: longestMs,
      killSignal: "SIGKILL",
    });
    const parts: MlxDescription[] = [];
    let lastWords = "";
    child.stderr?.on("data", (chunk: Buffer) => (lastWords = (lastWords + chunk.toString()).slice(-4000)));
    child.on("message", (part) => void parts.push(part as MlxDescription));
    child.once("error", (cause) => resolve({ parts, failure: cause.message }));
    child.once("close", (code, signal) => {
      const isWell = code === 0 && parts.some(({ type }) => type === "loaded");
      const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
      resolve({ parts, failure: isWell ? undefined : processEnd(how, lastWords, false).how });
    });
  });

/** Enough to read and hash a metallib of 150 MB on a slow disk. */
const longestMs = 120_000;

const fetchAgain = "scripts/with-mlx fetches the libraries again, once .cache/mlx-* is removed";
const checkOut = "git checkout binding/prebuilt brings it back";

export const mlxFindings = ({ parts, failure }: MlxAnswer): ReadonlyArray<Finding> => {
  const files = parts.flatMap((part) => (part.type === "files" ? part.files : []));
  const loaded = parts.find((part) => part.type === "loaded");
  return [bindingOf(loaded, failure), librariesOf(files)];
};

const bindingOf = (
  loaded: Extract<MlxDescription, { type: "loaded" }> | undefined,
  failure: string | undefined,
): Finding => {
  const name = "binding";
  if (loaded === undefined) {
    const next = "scripts/with-mlx fetches MLX's libraries; MLXD_BINDING=node-mlx takes an older MLX from npm";
    return problem(name, `MLX cannot be loaded: ${failure ?? "its process said nothing"}`, next);
  }
  const { version, binding, reason } = loaded.mlx;
  const what = `${binding === "own" ? "mlxd's own" : binding}, MLX ${version} on ${loaded.device}, as ${reason}`;
  if (version === versions.mlx) return ok(name, what);
  const next = `scripts/with-mlx fetches MLX ${versions.mlx}, where nothing but that is missing`;
  return note(name, what, next);
};

const librariesOf = (files: Extract<MlxDescription, { type: "files" }>["files"]): Finding => {
  const name = "libraries";
  const altered = files.filter(({ isPublished }) => !isPublished);
  const [first] = altered;
  if (first !== undefined) {
    const what = `${altered.map((file) => file.name).join(", ")}: not as published`;
    return problem(name, what, first.name.endsWith(".node") ? checkOut : fetchAgain);
  }
  const libraries = files.filter((file) => !file.name.endsWith(".node"));
  if (libraries.length === 0) {
    return note(name, `those of MLX ${versions.mlx} are not here`, "scripts/with-mlx fetches them, with pip");
  }
  const hashes = files.map((file) => `${file.name} ${file.sha256.slice(0, 12)}`).join(", ");
  return ok(name, `of MLX ${versions.mlx}, as published (SHA-256): ${hashes}`);
};
