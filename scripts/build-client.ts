// npm run build:client: writes dist/client, the npm package @mlxd/client, and dist/jsr, the same for JSR, which takes
// sources. With --api-report it also writes test/client/api, which tells what the package exports.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { apiReports } from "./client/api-report.ts";
import { buildClient } from "./client/build.ts";

const root = join(import.meta.dirname, "..");
const folder = join(root, "dist/client");
buildClient(root, folder, join(root, "dist/jsr"));
console.log("wrote dist/client and dist/jsr");

if (process.argv.includes("--api-report")) {
  const reports = join(root, "test/client/api");
  rmSync(reports, { recursive: true, force: true });
  mkdirSync(reports);
  for (const [name, text] of apiReports(root, folder)) writeFileSync(join(reports, name), text);
  console.log("wrote test/client/api");
}
