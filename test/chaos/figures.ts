/** What the long forms measured, as rows of the table in docs/reliability.md: written there by the run, with MLXD_FIGURES=write. */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const page = fileURLToPath(new URL("../../docs/reliability.md", import.meta.url));
const lock = `${page}.lock`;

/** @param what the row: it is in the table already, as what is tried is a matter of the page */
export const tellFigures = async (what: string, figures: string): Promise<void> => {
  process.stdout.write(`${what}: ${figures}\n`);
  if (process.env["MLXD_FIGURES"] !== "write") return;
  await withLock(() => {
    const text = readFileSync(page, "utf8");
    const row = text.split("\n").find((line) => line.startsWith("|") && line.split("|")[1]?.trim() === what);
    if (row === undefined) throw new Error(`docs/reliability.md has no row "${what}"`);
    const cells = row.split("|");
    writeFileSync(page, text.replace(row, ["", cells[1], ` ${figures} `, ...cells.slice(3)].join("|")));
  });
};

/** Test files run at once. */
const withLock = async (work: () => void): Promise<void> => {
  for (;;) {
    try {
      mkdirSync(lock);
      break;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  try {
    work();
  } finally {
    rmdirSync(lock);
  }
};
