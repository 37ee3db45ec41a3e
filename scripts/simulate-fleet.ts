// npm run simulate:fleet: what a fleet does with other parameters than those of docs/scale.md: `-- --hosts 8 --slots 32`. Without --hosts it
// prints the page's table.
import { parseArgs } from "node:util";

import { answerSeconds, callsPerSecond, defaultParameters, type FleetParameters } from "./fleet/parameters.ts";
import { fleetSizes, tableOf } from "./fleet/table.ts";

const names = Object.keys(defaultParameters) as Array<keyof FleetParameters>;
const optionOf = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const usage = `Usage: npm run simulate:fleet -- [--OPTION NUMBER]...
${names.map((name) => `  --${optionOf(name)} (${defaultParameters[name]})`).join("\n")}
What they mean stands in scripts/fleet/parameters.ts.`;

const fail = (problem: string): never => {
  console.error(`${problem}\n\n${usage}`);
  process.exit(2);
};

const readArguments = (): Partial<FleetParameters> => {
  const options = Object.fromEntries(names.map((name) => [optionOf(name), { type: "string" as const }]));
  try {
    const parsed = parseArgs({ options: { ...options, help: { type: "boolean" } } });
    const values: Readonly<Record<string, string | boolean | undefined>> = parsed.values;
    if (values["help"] === true) {
      console.log(usage);
      process.exit(0);
    }
    return Object.fromEntries(
      names.flatMap((name) => {
        const given = values[optionOf(name)];
        if (given === undefined) return [];
        const value = Number(given);
        const [least, most] = boundsOf(name);
        if (given === "" || !(value >= least && value <= most)) {
          fail(`--${optionOf(name)} is ${String(given)}, which is no number from ${least} to ${most}`);
        }
        if (!fractions.has(name) && !Number.isInteger(value))
          fail(`--${optionOf(name)} is ${value}, which is not whole`);
        return [[name, value]];
      }),
    );
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
};

const fractions: ReadonlySet<string> = new Set([
  "utilization",
  "balanceFactor",
  "thinkSeconds",
  "prefillTokensPerSecond",
  "decodeTokensPerSecond",
]);

/** What can be simulated in minutes. */
const boundsOf = (name: string): readonly [least: number, most: number] => {
  if (name === "hosts") return [1, 5000];
  if (name === "utilization") return [0.01, 1];
  if (name === "balanceFactor") return [1, 100];
  return [fractions.has(name) ? 0.01 : 1, 1e7];
};

const given = readArguments();
const fleet = { ...defaultParameters, ...given };
const load = callsPerSecond({ ...fleet, hosts: 1 }).toFixed(2);
console.log(`${load} calls a second for each host, each of which answers for ${answerSeconds(fleet).toFixed(1)} s\n`);
console.log(tableOf(given.hosts === undefined ? fleetSizes : [given.hosts], fleet));
