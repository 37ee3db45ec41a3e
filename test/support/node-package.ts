import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Writes `nodejs.deb` into a folder: the package that users get from NodeSource, with the Node of this test. */
export const packNode = (folder: string): void => {
  const tree = join(folder, "nodejs");
  for (const each of ["usr/bin", "DEBIAN"]) mkdirSync(join(tree, each), { recursive: true });
  copyFileSync(process.execPath, join(tree, "usr/bin/node"));
  const control = [
    "Package: nodejs",
    `Version: ${process.versions.node}`,
    "Architecture: all",
    "Maintainer: a test <test@localhost>",
  ];
  writeFileSync(join(tree, "DEBIAN/control"), `${control.join("\n")}\nDescription: Node of a test\n`);
  execFileSync("dpkg-deb", ["--root-owner-group", "-Znone", "--build", tree, join(folder, "nodejs.deb")], {
    stdio: "ignore",
  });
  rmSync(tree, { recursive: true });
};
