// npm run docs:client: writes dist/reference, pages about all that @mlxd/client exports.
import { join } from "node:path";
import { buildClient } from "./client/build.ts";
import { writeReference } from "./client/reference.ts";

const root = join(import.meta.dirname, "..");
const folder = join(root, "dist/client");
buildClient(root, folder, join(root, "dist/jsr"));
const names = writeReference(root, folder, join(root, "dist/reference"));
console.log(`wrote dist/reference: ${names.length} names, begin with dist/reference/index.html`);
