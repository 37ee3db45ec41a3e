/** A real Postgres: Debian's, unpacked into .cache, and so neither installed nor started by it. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { endWithThisProcess } from "./end-with-this-process.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../.cache/postgres/", import.meta.url));
const installTimeoutMs = 240_000;

/** `nobody`: Postgres refuses to be run by root. */
const nobody = 65_534;
const owner = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};

export interface Postgres extends AsyncDisposable {
  /** `postgres://...`, over a socket. */
  readonly url: string;
  /** Ends its processes at once, as a crash does. */
  readonly kill: () => Promise<void>;
  /** After a kill: on the same files. */
  readonly start: () => Promise<void>;
}

/** The folder of its programs; or why they cannot be had, with which a test that needs them is skipped. */
const programs = async (): Promise<{ readonly bin: string } | string> => {
  try {
    const found = await binFolder();
    if (found !== undefined) return { bin: found };
    await mkdir(root, { recursive: true });
    const options = { cwd: root, timeout: installTimeoutMs };
    const download = async () => {
      const { stdout } = await run("apt-cache", ["depends", "postgresql"], options);
      const server = /postgresql-\d+/.exec(stdout)?.[0] ?? "postgresql";
      await run("apt-get", ["download", "-q", server, "libpq5"], options);
    };
    await download().catch(() => run("apt-get", ["update", "-q"], options).then(download));
    const archives = (await readdir(root)).filter((name) => name.endsWith(".deb"));
    for (const archive of archives) await run("dpkg-deb", ["-x", archive, "."], options);
    const bin = await binFolder();
    return bin === undefined ? "Debian's postgresql has no programs where they are looked for" : { bin };
  } catch (error) {
    const why = error instanceof Error ? (error.message.trim().split("\n", 1)[0] ?? "") : String(error);
    return `Debian's Postgres is not to be had here: ${why}`;
  }
};

const binFolder = async (): Promise<string | undefined> => {
  const versions = await readdir(join(root, "usr/lib/postgresql")).catch(() => []);
  const [version] = versions;
  if (version === undefined) return undefined;
  const bin = join(root, "usr/lib/postgresql", version, "bin");
  await run(join(bin, "postgres"), ["--version"], { env: environment(bin) });
  return bin;
};

/** Its libraries stand beside it. */
const environment = (bin: string): NodeJS.ProcessEnv => ({
  PATH: `${bin}:${process.env["PATH"] ?? ""}`,
  LD_LIBRARY_PATH: ["x86_64", "aarch64"].map((kind) => join(root, `usr/lib/${kind}-linux-gnu`)).join(":"),
  LC_ALL: "C.UTF-8",
});

/** A new one, without data; or why there is none. */
export const startPostgres = async (): Promise<Postgres | string> => {
  const found = await programs();
  if (typeof found === "string") return found;
  const { bin } = found;
  const directory = await mkdtemp(join(tmpdir(), "mlxd-pg-"));
  await chmod(directory, 0o755);
  if (owner.uid !== undefined) await chown(directory, owner.uid, owner.gid);
  const data = join(directory, "data");
  const options = { env: environment(bin), cwd: directory, ...owner };
  try {
    await run(join(bin, "initdb"), ["-D", data, "-U", "mlxd", "-A", "trust", "--no-sync"], options);
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    return `Postgres cannot make its files here: ${error instanceof Error ? error.message.split("\n")[0] : String(error)}`;
  }
  let server: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const child = spawn(
      join(bin, "postgres"),
      ["-D", data, "-k", directory, "-c", "listen_addresses=", "-c", "shared_buffers=16MB"],
      { ...options, stdio: ["ignore", "ignore", "pipe"] },
    );
    server = endWithThisProcess(child);
    await new Promise<void>((resolve, reject) => {
      let log = "";
      child.stderr.on("data", (text: Buffer) => {
        log += text.toString();
        if (log.includes("database system is ready to accept connections")) resolve();
      });
      child.once("exit", (code) => reject(new Error(`Postgres ended with ${code}:\n${log}`)));
    });
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const child = server;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  };
  await start();
  return {
    url: `postgres://mlxd@/postgres?host=${directory}`,
    // SIGQUIT is its "immediate shutdown": no checkpoint, as in a crash; its children end, too, and free its memory.
    kill: () => end("SIGQUIT"),
    start,
    [Symbol.asyncDispose]: async () => {
      await end("SIGQUIT");
      await rm(directory, { recursive: true, force: true });
    },
  };
};
