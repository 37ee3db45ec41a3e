// npm run build: writes dist/mlxd, what is deployed: the service, its programs and the command, which run with Node alone.
import { join } from "node:path";
import { parseArgs } from "node:util";

import { buildArtefact } from "./artefact/build.ts";

const usage = "usage: npm run build -- [--platform linux-x64 | linux-arm64 | darwin-arm64] [--with-node] [--out DIR]";
const { values } = parseArgs({
  options: {
    platform: { type: "string" },
    out: { type: "string" },
    "with-node": { type: "boolean" },
    // deploy/Dockerfile knows what is in its image.
    "debian-packages": { type: "string" },
    help: { type: "boolean" },
  },
});
if (values.help === true) console.log(usage);
else {
  const root = join(import.meta.dirname, "..");
  const folder = values.out ?? join(root, "dist/mlxd");
  await buildArtefact(root, folder, {
    platform: values.platform ?? `${process.platform}-${process.arch}`,
    debianPackages: values["debian-packages"],
    withNode: values["with-node"],
  });
  console.log(`wrote ${folder}`);
}
