/** The figures of docs/scale.md, in the form that they have there. */
import { defaultParameters, type FleetParameters } from "./parameters.ts";
import { policies } from "./policies.ts";
import { simulate } from "./simulate.ts";

/** Sizes of fleets that the page speaks of. */
export const fleetSizes = [2, 20, 200, 1000];

/** One row for each policy. */
const rowsOf = (fleet: FleetParameters): ReadonlyArray<readonly string[]> =>
  Object.entries(policies).map(([name, create]) => {
    const { cached, firstTokenP50, firstTokenP95, busiest } = simulate(fleet, create(fleet));
    const seconds = [firstTokenP50, firstTokenP95].map((value) => value.toFixed(1));
    return [String(fleet.hosts), name, cached.toFixed(2), ...seconds, busiest.toFixed(2)];
  });

const head = ["hosts", "calls go by", "prompt found cached", "first token p50, s", "p95, s", "busiest host / mean"];

/** A table in Markdown, its columns as wide as they need to be. */
export const tableOf = (sizes: readonly number[], parameters: FleetParameters = defaultParameters): string => {
  const rows = [head, ...sizes.flatMap((hosts) => rowsOf({ ...parameters, hosts }))];
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const [first = "", ...rest] = rows.map(line);
  return [first, line(widths.map((width) => "-".repeat(width))), ...rest].join("\n");
};
