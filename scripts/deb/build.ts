/** The artefact as a package of Debian: in /opt/mlxd, with its unit, its user and a configuration to edit. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Debian's names of what Node calls `x64` and `arm64`. */
const architectures: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

export interface DebOptions {
  /** As `process.arch` has it: the one that the artefact was built for. */
  readonly arch: string;
  /** How `dpkg-deb` compresses; `none` is fast. */
  readonly compression?: "none" | "zstd";
}

/** The package that Node is in; and what the Node needs that came with the artefact. */
const systemNode = "nodejs (>= 24)";
const ownNode = "libatomic1";

/** Packs a built artefact into a folder; gives the package's path. `dpkg-deb` has to be there. */
export const buildDeb = (root: string, artefact: string, out: string, options: DebOptions): string => {
  const architecture = architectures[options.arch];
  if (architecture === undefined)
    throw new Error(`there is no package for ${options.arch}: ${Object.keys(architectures).join(", ")}`);
  const { version } = JSON.parse(readFileSync(join(artefact, "package.json"), "utf8")) as { version: string };
  const tree = mkdtempSync(join(tmpdir(), "mlxd-deb-"));
  try {
    chmodSync(tree, 0o755);
    placeFiles(root, artefact, tree);
    const hasNode = existsSync(join(artefact, "bin/node"));
    placeControl(root, tree, { version: debianVersion(version), architecture, node: hasNode ? ownNode : systemNode });
    mkdirSync(out, { recursive: true });
    const path = join(out, `mlxd_${debianVersion(version)}_${architecture}.deb`);
    const compression = `-Z${options.compression ?? "zstd"}`;
    execFileSync("dpkg-deb", ["--root-owner-group", compression, "--build", tree, path], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    return path;
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
};

/** `1.2.0-rc.1` comes before `1.2.0`, which in Debian's order is a tilde. */
const debianVersion = (version: string): string => version.replace("-", "~");

const placeFiles = (root: string, artefact: string, tree: string): void => {
  cpSync(artefact, join(tree, "opt/mlxd"), { recursive: true });
  for (const folder of ["usr/bin", "usr/lib/systemd/system", "etc/mlxd", "usr/share/doc/mlxd"]) {
    mkdirSync(join(tree, folder), { recursive: true });
  }
  symlinkSync("/opt/mlxd/bin/mlxd", join(tree, "usr/bin/mlxd"));
  cpSync(join(root, "deploy/systemd/mlxd.service"), join(tree, "usr/lib/systemd/system/mlxd.service"));
  cpSync(join(root, "deploy/debian/mlxd.yaml"), join(tree, "etc/mlxd/mlxd.yaml"));
  const licences = ["LICENSE", "THIRD-PARTY-LICENSES"].map((name) => readFileSync(join(artefact, name), "utf8"));
  writeFileSync(join(tree, "usr/share/doc/mlxd/copyright"), licences.join("\n"));
  // What everybody may read, whatever the builder's umask was.
  execFileSync("chmod", ["-R", "u=rwX,go=rX", tree]);
};

const placeControl = (
  root: string,
  tree: string,
  about: { readonly version: string; readonly architecture: string; readonly node: string },
): void => {
  const [kibibytes = "0"] = execFileSync("du", ["-sk", tree], { encoding: "utf8" }).split("\t");
  mkdirSync(join(tree, "DEBIAN"));
  const control = readFileSync(join(root, "deploy/debian/control"), "utf8")
    .replace("@VERSION@", about.version)
    .replace("@ARCHITECTURE@", about.architecture)
    .replace("@NODE@", about.node)
    .replace("@SIZE@", kibibytes);
  writeFileSync(join(tree, "DEBIAN/control"), control);
  writeFileSync(join(tree, "DEBIAN/conffiles"), "/etc/mlxd/mlxd.yaml\n");
  for (const script of ["postinst", "prerm", "postrm"]) {
    cpSync(join(root, "deploy/debian", script), join(tree, "DEBIAN", script));
    chmodSync(join(tree, "DEBIAN", script), 0o755);
  }
};
