// Adds to package-lock.json the platform packages (another system's or CPU's build of a tool) that npm left out because
// the registry it asked did not have them: `npm ci` refuses such a lockfile on every machine. They are named by the
// packages that need them, at one exact version; npm takes what else it wants to know from the registry it installs from.
// With --check it changes nothing and exits with 1 when something is missing.
import { readFileSync, writeFileSync } from "node:fs";

interface Entry {
  version?: string;
  cpu?: string[];
  dev?: boolean;
  libc?: string[];
  license?: string;
  optional?: boolean;
  os?: string[];
  optionalDependencies?: Record<string, string>;
}

const file = "package-lock.json";
const platform = /(?<os>android|darwin|freebsd|linux|openharmony|win32)-(?<cpu>[a-z0-9]+)(?:-(?<abi>[a-z]+))?$/;

const entryFor = (name: string, version: string, dependent: Entry): Entry => {
  const { os, cpu, abi = "" } = platform.exec(name)?.groups ?? {};
  if (!os || !cpu) throw new Error(`${name} is not in ${file} and its name does not tell its platform`);
  const libc = /^(gnu|glibc)/.test(abi) ? "glibc" : abi.startsWith("musl") ? "musl" : undefined;
  return {
    version,
    cpu: [cpu],
    ...(dependent.dev ? { dev: true } : {}),
    ...(os === "linux" && libc ? { libc: [libc] } : {}),
    ...(dependent.license ? { license: dependent.license } : {}),
    optional: true,
    os: [os],
  };
};

const lockfile = JSON.parse(readFileSync(file, "utf8")) as { packages: Record<string, Entry> };
const { packages } = lockfile;
const missing: Record<string, Entry> = {};
for (const [path, entry] of Object.entries(packages))
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {}))
    if (!packages[`node_modules/${name}`] && !packages[`${path}/node_modules/${name}`])
      missing[`node_modules/${name}`] = entryFor(name, version, entry);

const names = Object.keys(missing);
if (names.length > 0 && process.argv.includes("--check")) {
  console.log(`${file} leaves out ${names.length} packages; run: scripts/with-node npm run complete-lockfile`);
  for (const name of names) console.log(`  ${name}`);
  process.exitCode = 1;
} else if (names.length > 0) {
  const sorted = Object.entries({ ...packages, ...missing }).toSorted(([a], [b]) => a.localeCompare(b, "en"));
  writeFileSync(file, `${JSON.stringify({ ...lockfile, packages: Object.fromEntries(sorted) }, null, 2)}\n`);
  console.log(`added ${names.length} packages to ${file}`);
}
