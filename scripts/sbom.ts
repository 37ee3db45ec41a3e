// npm run sbom [-- FILE]: writes what is deployed as CycloneDX to the file, or to standard output.
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { makeSbom } from "./supply/sbom.ts";

const text = `${JSON.stringify(makeSbom(join(import.meta.dirname, "..")), null, 2)}\n`;
const [file] = process.argv.slice(2);
if (file === undefined) process.stdout.write(text);
else writeFileSync(file, text);
