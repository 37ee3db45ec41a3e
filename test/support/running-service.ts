/** The real service in a process of its own, as `npm start` runs it, on a free port. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface RunningService {
  /** e.g. `http://127.0.0.1:40123`. */
  readonly url: string;
  readonly port: number;
  readonly process: ChildProcess;
  /** Its engine processes. */
  readonly workers: () => ReadonlyArray<number>;
  /** All its processes, those of its sandbox among them. */
  readonly children: () => ReadonlyArray<number>;
  /** What it has logged, of very much the end. */
  readonly log: () => string;
  /** SIGTERM, then waits for the end; gives the exit code. Does nothing to a service that has ended. */
  readonly stop: () => Promise<number | null>;
}

const endWithParent = new URL("./end-with-parent.ts", import.meta.url).href;
const maxLogLength = 16_000_000;
const root = fileURLToPath(new URL("../..", import.meta.url));

/** As `npm start` runs the service of a checkout. */
const fromSources: Program = { command: process.execPath, args: ["--import", endWithParent, "src/service/main.ts"] };

interface Program {
  readonly command: string;
  readonly args: ReadonlyArray<string>;
}

/**
 * Starts the service and waits for its ready line. What it logs is told when it does not get there.
 * @param checkout another one than this
 * @param program another one than the service of the checkout; it is on its caller to end it with this process
 */
export const startService = async (
  environment: Readonly<Record<string, string>> = {},
  checkout = root,
  { command, args }: Program = fromSources,
): Promise<RunningService> => {
  const jobsStore = join(tmpdir(), `mlxd-jobs-${randomUUID()}`);
  const child = spawn(command, args, {
    cwd: checkout,
    // Jobs of a test are nobody else's.
    env: { ...process.env, MLXD_PORT: "0", MLXD_JOBS_STORE: jobsStore, ...environment },
    // The channel closes with this process, also where that is killed.
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  child.channel?.unref();
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error("the service has no pipes");
  let log = "";
  stderr.on("data", (chunk: Buffer) => (log = (log + chunk.toString()).slice(-maxLogLength)));
  const url = await readyUrl(stdout, child, () => log.slice(-4000));
  const stop = async (): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    rmSync(jobsStore, { recursive: true, force: true });
    return child.exitCode;
  };
  return {
    url,
    port: Number(new URL(url).port),
    process: child,
    workers: () => childrenOf(child.pid, "worker/main.ts"),
    log: () => log,
    children: () => childrenOf(child.pid, ""),
    stop,
  };
};

/** The processes of a service whose command holds the text, also of one that has ended, as long as their parent was it. */
const childrenOf = (parent: number | undefined, program: string): ReadonlyArray<number> => {
  const lines = execFileSync("ps", ["-eo", "pid=,ppid=,args="], { encoding: "utf8" }).split("\n");
  return lines.flatMap((line) => {
    const [pid, ppid] = line.trim().split(/\s+/);
    return ppid === String(parent) && line.includes(program) ? [Number(pid)] : [];
  });
};

const readyUrl = (stdout: NodeJS.ReadableStream, child: ChildProcess, log: () => string): Promise<string> =>
  new Promise((resolve, reject) => {
    const lines = createInterface({ input: stdout });
    lines.on("line", (line) => {
      const found = /ready at (https?:\/\/\S+)/.exec(line)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once("exit", (code) => reject(new Error(`the service ended with ${code} before it was ready:\n${log()}`)));
  });
