/**
 * Docker for the tests of the image. Where none answers and this is root's Debian, it is installed from Debian's packages and started; the
 * one that was started so ends by itself when no test uses it and no container runs.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { GenericContainer } from "testcontainers";
import type { TestContext } from "vitest";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const installTimeoutMs = 300_000;
/** Whoever uses an engine that the tests have started holds it shared. */
const useLock = join(tmpdir(), "mlxd-tests-dockerd.lock");

// There is no registry to take testcontainers' reaper from; containers are removed by their labels instead.
process.env["TESTCONTAINERS_RYUK_DISABLED"] = "true";
// It would take a development container for one that runs beside the tests' containers.
process.env["TESTCONTAINERS_HOST_OVERRIDE"] = "127.0.0.1";

const answers = (): Promise<boolean> =>
  run("docker", ["version", "--format", "{{.Server.Version}}"], { timeout: 20_000 }).then(
    () => true,
    () => false,
  );

const isThere = (program: string): Promise<boolean> =>
  run("sh", ["-c", `command -v ${program}`]).then(
    () => true,
    () => false,
  );

const install = async (packages: readonly string[]): Promise<void> => {
  const options = { env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" }, timeout: installTimeoutMs };
  // Two test files may come at once; apt waits for itself with this option alone.
  const apt = (args: readonly string[]) => run("apt-get", ["-o", "DPkg::Lock::Timeout=240", "-qq", ...args], options);
  const add = () => apt(["install", "-y", "--no-install-recommends", ...packages]);
  await add().catch(() => apt(["update"]).then(add));
};

/** In the background, and for longer than this process where others use it, too. */
const startEngine = async (): Promise<void> => {
  const log = openSync(join(tmpdir(), "mlxd-tests-dockerd.log"), "w");
  // Left by an engine that was killed, they would keep the next one from starting.
  const script = `
    rm -f /var/run/docker.pid /var/run/docker/containerd/containerd.pid
    dockerd & engine=$!
    sleep 60
    end='[ -n "$(docker ps --quiet)" ] || { kill $0; while docker version; do sleep 0.1; done; }'
    while docker version; do
      # Nobody begins to use it while it ends.
      flock "$0" bash -c "$end" $engine
      sleep 5
    done
    wait`;
  spawn("setsid", ["bash", "-c", script, useLock], { detached: true, stdio: ["ignore", log, log] }).unref();
  for (let n = 0; n < 300 && !(await answers()); n++) await pause(200);
};

const findEngine = async (): Promise<string | undefined> => {
  if (await answers()) return undefined;
  if (process.platform !== "linux") return "no Docker answers, and only on Linux the tests could set it up";
  if (process.getuid?.() !== 0) return "no Docker answers, and only root could set it up";
  try {
    if (!(await isThere("dockerd"))) await install(["docker.io", "iptables"]);
    // Of two test files that come at once, one starts it.
    const starting = spawn("flock", [`${useLock}.start`, "cat"], { stdio: ["pipe", "ignore", "ignore"] });
    await pause(500);
    if (!(await answers())) await startEngine();
    starting.kill();
  } catch (error) {
    return `no Docker answers, and it could not be set up: ${error instanceof Error ? error.message : String(error)}`;
  }
  return (await answers()) ? undefined : `dockerd does not start: see ${join(tmpdir(), "mlxd-tests-dockerd.log")}`;
};

let engine: Promise<string | undefined> | undefined;

/** Skips the test if no Docker can be had, and says why. With MLXD_TEST_DOCKER=required that is a failure. */
export const requireDocker = async (context: TestContext): Promise<void> => {
  const reason = await noDocker();
  if (reason === undefined) return;
  if (process.env["MLXD_TEST_DOCKER"] === "required") throw new Error(reason);
  context.skip(reason);
};

/** Why no Docker can be had; undefined where it can, which this process then uses until it ends. */
export const noDocker = (): Promise<string | undefined> =>
  (engine ??= (async () => {
    // Ends with this process, however that ends: its input closes.
    const using = spawn("flock", ["--shared", useLock, "sh", "-c", "echo used; exec cat"], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    using.unref();
    // Not before one that is about to end has ended. Only Linux has flock, and needs it.
    await Promise.race([once(using, "error"), once(using.stdout, "data")]);
    using.stdout.destroy();
    return findEngine();
  })());

/** One whose root file system cannot be written, as mlxd's is run; testcontainers has no option for it. */
export class ReadOnlyContainer extends GenericContainer {
  constructor(image: string) {
    super(image);
    this.hostConfig.ReadonlyRootfs = true;
  }
}

/** What `docker` prints. */
export const docker = async (...args: readonly string[]): Promise<string> => {
  const { stdout } = await run("docker", args, { maxBuffer: 256 * 1024 ** 2 });
  return stdout.trim();
};

let composeProgram: Promise<readonly string[]> | undefined;

/** Docker Compose 2 where it is there, else that of Debian, which is installed where it is missing. */
export const compose = async (args: readonly string[], folder: string, env: NodeJS.ProcessEnv): Promise<string> => {
  composeProgram ??= docker("compose", "version").then(
    () => ["docker", "compose"],
    async () => {
      if (!(await isThere("docker-compose"))) await install(["docker-compose"]);
      return ["docker-compose"];
    },
  );
  const [program = "", ...first] = await composeProgram;
  return (await run(program, [...first, ...args], { cwd: folder, env, maxBuffer: 64 * 1024 ** 2 })).stdout.trim();
};

let built: Promise<string> | undefined;

/**
 * The name of mlxd's image as deploy/Dockerfile makes it of this checkout; test files that come at once share it. MLXD_TEST_IMAGE names
 * one that is to be tested as it is.
 */
export const mlxdImage = (): Promise<string> =>
  (built ??= Promise.resolve(process.env["MLXD_TEST_IMAGE"] ?? buildImage("mlxd:test")));

/** @param more options of `docker build` */
export const buildImage = async (tag: string, more: readonly string[] = []): Promise<string> => {
  const bases = await baseArguments();
  await inTurn(["docker", "build", "--quiet", "-f", "deploy/Dockerfile", "-t", tag, ...bases, ...more, "."]);
  return tag;
};

/** HAProxy with deploy/haproxy/haproxy.cfg, in front of containers with the names mlxd1 and mlxd2. */
export const haproxyImage = async (): Promise<string> => {
  const tag = "mlxd-haproxy:test";
  const options = ["-f", "deploy/compose/Dockerfile", "--target", "haproxy", "-t", tag, ...(await baseArguments())];
  await inTurn(["docker", "build", "--quiet", ...options, "."]);
  return tag;
};

/** Of the public images where their registry is reached, else of the local ones. */
export const baseArguments = async (): Promise<readonly string[]> => {
  try {
    for (const image of ["debian:bookworm-slim", "node:26-bookworm-slim"]) {
      await docker("image", "inspect", image).catch(() => run("docker", ["pull", image], { timeout: 180_000 }));
    }
    return [];
  } catch {
    if (!(await isThere("mmdebstrap"))) await install(["mmdebstrap"]);
    return (await inTurn(["deploy/image/local-bases"])).trim().split(/\s+/);
  }
};

/** One at a time on this machine. */
const inTurn = async (command: readonly string[]): Promise<string> => {
  const lock = join(tmpdir(), "mlxd-tests-image.lock");
  const { stdout } = await run("flock", [lock, ...command], { cwd: root, maxBuffer: 64 * 1024 ** 2 });
  return stdout;
};

/** Removes what a test made, also where it was cut short: all that carries this label. */
export const removeAll = async (label: string): Promise<void> => {
  const ids = (text: string): readonly string[] => text.split("\n").filter(Boolean);
  const filter = ["--filter", `label=${label}`, "--quiet"];
  for (const id of ids(await docker("ps", "--all", ...filter))) await docker("rm", "--force", "--volumes", id);
  for (const id of ids(await docker("network", "ls", ...filter))) await docker("network", "rm", id);
  for (const id of ids(await docker("volume", "ls", ...filter))) await docker("volume", "rm", "--force", id);
};
