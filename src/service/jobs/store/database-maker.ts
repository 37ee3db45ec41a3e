/**
 * A process that makes the database of an embedded store in a directory that does not exist yet, writes all of it to the disk,
 * and ends. What it fails with it sends as an EmbeddedProblem.
 */
import { PGlite } from "@electric-sql/pglite";

import { DurableFS } from "./durable-fs.ts";
import { LastLines, startParams } from "./embedded-postgres.ts";
import { flushAll } from "./flush-to-disk.ts";

const [, , directory = ""] = process.argv;
const lastLines = new LastLines();

const fail = (error: unknown): void => {
  process.send?.(lastLines.explain(error), () => process.exit(1));
};

try {
  const pglite = await PGlite.create({ fs: new DurableFS(directory, fail), startParams, onStderr: lastLines.keep });
  await pglite.close();
  flushAll(directory);
  process.exit(0);
} catch (error) {
  fail(error);
}
