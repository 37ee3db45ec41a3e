/** What is deployed, as CycloneDX: npm lists the packages of the lockfile, and what no lockfile has is added. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { type LockedPackage, nameOf } from "./licences.ts";

interface Component {
  readonly "bom-ref": string;
  readonly type: string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly licenses?: ReadonlyArray<unknown>;
}

export interface Sbom {
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly metadata: { readonly component: { readonly name: string } };
  readonly components: ReadonlyArray<Component>;
  readonly dependencies: ReadonlyArray<{ readonly ref: string; readonly dependsOn?: ReadonlyArray<string> }>;
}

/** Runs npm in the checkout; nothing is fetched. */
export const makeSbom = (root: string): Sbom => {
  const args = ["sbom", "--sbom-format=cyclonedx", "--sbom-type=application", "--package-lock-only"];
  const sbom = JSON.parse(execFileSync("npm", args, { cwd: root, encoding: "utf8", maxBuffer: maxSbomBytes })) as Sbom;
  const deployed = deployedPackages(readFileSync(join(root, "package-lock.json"), "utf8"));
  // `--omit=dev` would leave out what is needed by a package of development too, as `effect`.
  const packages = sbom.components.filter(({ name, version }) => deployed.has(`${name}@${version}`));
  const refs = new Set(packages.map((component) => component["bom-ref"]));
  const isListed = (ref: string) => refs.has(ref) || ref.startsWith("mlxd@");
  const besides = mlxComponents(readFileSync(join(root, "binding/requirements.txt"), "utf8"));
  return {
    ...sbom,
    // npm takes the folder's name.
    metadata: { ...sbom.metadata, component: { ...sbom.metadata.component, name: "mlxd" } },
    components: [...packages, ...besides],
    dependencies: [
      ...sbom.dependencies
        .filter(({ ref }) => isListed(ref))
        .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter(isListed) })),
      ...besides.map((component) => ({ ref: component["bom-ref"], dependsOn: [] })),
    ],
  };
};

const maxSbomBytes = 64 * 1024 ** 2;

/** By name and version. */
const deployedPackages = (lockfile: string): ReadonlySet<string> => {
  const { packages } = JSON.parse(lockfile) as { readonly packages: Readonly<Record<string, LockedPackage>> };
  return new Set(
    Object.entries(packages).flatMap(([path, { version, dev = false }]) =>
      path === "" || dev ? [] : [`${nameOf(path)}@${version}`],
    ),
  );
};

/** MLX's libraries, which come out of PyPI packages. */
const mlxComponents = (requirements: string): ReadonlyArray<Component> =>
  [...requirements.matchAll(/^(mlx[\w-]*)==([\w.]+)/gm)].map(([, name = "", version = ""]) => {
    const purl = `pkg:pypi/${name}@${version}`;
    return { "bom-ref": purl, type: "library", name, version, purl, licenses: [{ license: { id: "MIT" } }] };
  });
