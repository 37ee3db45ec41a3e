/** Runs a job that touches MLX in a process of its own. */
import { fork } from "node:child_process";
import { join } from "node:path";

import { engineEnvironment } from "../../src/service/config/EngineConfig.ts";
import { processEnd } from "../../src/service/engine/mlx/last-words.ts";
import { endsWithUs } from "../bench/ends-with-us.ts";
import type { JobName, Jobs } from "./jobs.ts";

export type Answer<Value> =
  | { readonly type: "value"; readonly value: Value }
  /** It threw, died or took too long: a sentence. */
  | { readonly type: "problem"; readonly problem: string };

/**
 * @param environment added to that of an engine process
 */
export const inChild = <Name extends JobName>(
  name: Name,
  input: Parameters<Jobs[Name]>[0],
  { timeoutMs = 60_000, environment = {} }: { timeoutMs?: number; environment?: Record<string, string> } = {},
): Promise<Answer<Awaited<ReturnType<Jobs[Name]>>>> =>
  new Promise((resolve) => {
    const child = endsWithUs(
      fork(join(import.meta.dirname, "child-main.ts"), [name, JSON.stringify(input)], {
        execArgv: ["--expose-gc"],
        env: { ...engineEnvironment(), ...environment },
        serialization: "advanced",
        stdio: ["ignore", "ignore", "pipe", "ipc"],
      }),
    );
    let words = "";
    child.stderr?.on("data", (chunk: Buffer) => (words = (words + chunk.toString()).slice(-4000)));
    const late = setTimeout(() => {
      resolve({ type: "problem", problem: `it took more than ${timeoutMs / 1000} s` });
      child.kill("SIGKILL");
    }, timeoutMs);
    child.once("message", (answer) => resolve(answer as Answer<Awaited<ReturnType<Jobs[Name]>>>));
    child.once("close", (code, signal) => {
      clearTimeout(late);
      const { how } = processEnd(signal === null ? `exit code ${code}` : `signal ${signal}`, words, false);
      resolve({ type: "problem", problem: `the process ended with ${how}` });
    });
  });
