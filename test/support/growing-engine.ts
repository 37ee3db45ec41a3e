/**
 * Loaded into a service by `--import`, and so into its engine processes: on SIGUSR2 an engine takes as much memory as
 * MLXD_TEST_GROW_BYTES says, and keeps it, as one with a leak would.
 */
export const growingBy = (bytes: number): Readonly<Record<string, string>> => ({
  MLXD_TEST_GROW_BYTES: String(bytes),
  NODE_OPTIONS: `--import ${import.meta.filename}`,
});

const bytes = Number(process.env["MLXD_TEST_GROW_BYTES"]);
const taken: Buffer[] = [];

if (bytes > 0 && process.argv[1]?.endsWith("worker/main.ts") === true) {
  process.on("SIGUSR2", () => void taken.push(Buffer.alloc(bytes, 1)));
}
