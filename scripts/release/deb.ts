/** The Debian package of the artefact: built, checked, unpacked into an empty folder and run there. */
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";

import { serve } from "./artefact.ts";
import { assertContents, assertSize, digestOf, fileSize, type Piece, type Release, run } from "./piece.ts";

/** After the artefact, which it packs. Or why there is none. */
export const releaseDeb = async ({ root, version, folder, place }: Release): Promise<Piece | string> => {
  const builder = join(root, "scripts/build-deb.ts");
  if (!existsSync(builder)) return "this checkout builds none";
  const hasDpkg = await run("dpkg-deb", ["--version"]).then(
    () => true,
    () => false,
  );
  if (!hasDpkg) return "only Debian's dpkg-deb can build it";
  await run(process.execPath, [builder, "--from", join(root, "dist/mlxd"), "--out", folder]);
  const name = readdirSync(folder).find((file) => file.endsWith(".deb"));
  if (name === undefined) throw new Error("no .deb was built");
  const file = join(folder, name);
  const { stdout } = await run("dpkg-deb", ["--contents", file], { maxBuffer: 16 * 1024 ** 2 });
  const paths = stdout.split("\n").flatMap((line) => / \.\/(\S+)/.exec(line)?.[1] ?? []);
  assertContents("the .deb", paths, ["opt/mlxd/bin/mlxd", "usr/lib/systemd/system/mlxd.service"]);
  assertSize("the .deb", fileSize(file), 150);
  const unpacked = join(place, "deb");
  mkdirSync(unpacked);
  await run("dpkg-deb", ["--extract", file, unpacked]);
  const env = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, HOME: unpacked };
  const told = await run(join(unpacked, "opt/mlxd/bin/mlxd"), ["--version"], { env, cwd: unpacked });
  if (!told.stdout.includes(version)) throw new Error(`the .deb's command tells version ${told.stdout}`);
  await using served = await serve(join(unpacked, "opt/mlxd"), unpacked);
  const answer = await served.generate("What is 2+2?");
  if (!answer.includes("4")) throw new Error(`the .deb's service told ${answer}`);
  const checked = ["contents", "size", "serves and answers from an empty folder"];
  return { name: ".deb", file, bytes: fileSize(file), digest: await digestOf(file), checked };
};
