import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { endsWithUs } from "./ends-with-us.ts";

/** Starts a program of this folder that prints its port. */
export const startProgram = async (
  file: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<{ readonly child: ChildProcess; readonly port: number }> => {
  const child = spawn(process.execPath, [join(import.meta.dirname, file)], {
    env: { ...process.env, MLXD_PORT: "0", MLXD_LOG_LEVEL: "Error", ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  endsWithUs(child);
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  return { child, port: Number(line) };
};
