/** The client as it is published, built from the sources of this checkout. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { buildClient } from "../../scripts/client/build.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));

export interface ClientPackage extends AsyncDisposable {
  /** The npm package as a folder, from which the checkout's own packages are found. */
  readonly folder: string;
  /** The form for JSR. */
  readonly jsrFolder: string;
  /** What `npm pack` makes of it. */
  readonly tarball: string;
  /** A new folder in which this package was installed, with these packages beside it and nothing else. */
  readonly install: (...packages: readonly string[]) => Promise<string>;
}

export const buildClientPackage = async (): Promise<ClientPackage> => {
  await mkdir(join(root, ".cache"), { recursive: true });
  const home = await mkdtemp(join(root, ".cache/package-"));
  const [folder, jsrFolder] = [join(home, "client"), join(home, "jsr")];
  buildClient(root, folder, jsrFolder);
  await run("npm", ["pack", "--silent", "--pack-destination", home], { cwd: folder });
  const { version } = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as { version: string };
  // Outside of the checkout, whose packages would be found from inside it.
  const consumers = await mkdtemp(join(tmpdir(), "mlxd-consumers-"));
  const tarball = join(home, `mlxd-client-${version}.tgz`);
  return {
    folder,
    jsrFolder,
    tarball,
    install: async (...packages) => {
      const consumer = await mkdtemp(join(consumers, "consumer-"));
      await writeFile(join(consumer, "package.json"), '{"private":true,"type":"module"}');
      const options = ["--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"];
      await run("npm", ["install", ...options, tarball, ...packages], { cwd: consumer });
      return consumer;
    },
    [Symbol.asyncDispose]: async () => {
      for (const made of [home, consumers]) await rm(made, { recursive: true, force: true });
    },
  };
};
