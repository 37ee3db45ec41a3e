// npm run build:deb: packs dist/mlxd, which `npm run build` has written, into dist/mlxd_VERSION_ARCHITECTURE.deb.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { buildDeb } from "./deb/build.ts";

const usage = "usage: npm run build:deb -- [--arch x64 | arm64] [--from DIR] [--out DIR]";
const { values } = parseArgs({
  options: { arch: { type: "string" }, from: { type: "string" }, out: { type: "string" }, help: { type: "boolean" } },
});
const root = join(import.meta.dirname, "..");
const artefact = values.from ?? join(root, "dist/mlxd");
if (values.help === true) console.log(usage);
else if (existsSync(join(artefact, "bin/mlxd"))) {
  console.log(
    `wrote ${buildDeb(root, artefact, values.out ?? join(root, "dist"), { arch: values.arch ?? process.arch })}`,
  );
} else {
  console.error(`there is nothing in ${artefact}: npm run build writes it`);
  process.exitCode = 1;
}
