/**
 * `npm run mac-check`: whether MLX computes rightly, keeps its memory and is fast on this machine, in under five minutes.
 *
 * --out FILE     where the report goes (default: mac-check.json); send it back with a report of a fault
 * --model DIR    measures the speed of this checkpoint instead of one of random weights
 * --peer         measures mlx-lm beside it; installs it from PyPI into .cache/bench, once
 * --only NAME    this section alone: machine, operations, agreement, memory, life or speed; may be repeated
 *
 * Everything that touches MLX runs in processes of its own: an abort is a result. The report has figures and sentences,
 * and neither prompts nor paths. It runs on Linux too, with what applies there.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";

import { agreement } from "./mac-check/agreement.ts";
import { life } from "./mac-check/life.ts";
import { machine } from "./mac-check/machine.ts";
import { memory } from "./mac-check/memory.ts";
import { operations } from "./mac-check/operations.ts";
import { type Check, type Options, type Section, withoutPaths } from "./mac-check/section.ts";
import { speed } from "./mac-check/speed.ts";

const { values } = parseArgs({
  options: {
    out: { type: "string", default: "mac-check.json" },
    model: { type: "string" },
    peer: { type: "boolean", default: false },
    only: { type: "string", multiple: true },
    help: { type: "boolean", default: false },
  },
});

const usage = "usage: npm run mac-check -- [--out FILE] [--model DIR] [--peer] [--only NAME]...";

const sections: ReadonlyArray<Section> = [machine, operations, agreement, memory, life, speed];

const log = (line: string): void => void process.stderr.write(`${line}\n`);

/** What a section could not even begin with is a check that failed. */
const run = async (section: Section, options: Options): Promise<ReadonlyArray<Check>> => {
  try {
    return await section.run(options);
  } catch (cause) {
    return [{ name: section.name, status: "failed", detail: cause instanceof Error ? cause.message : String(cause) }];
  }
};

const main = async (): Promise<void> => {
  const chosen = sections.filter(({ name }) => values.only?.includes(name) ?? true);
  if (chosen.length === 0)
    throw new Error(`no section is named so; there are ${sections.map(({ name }) => name).join(", ")}`);
  const startedAt = performance.now();
  const report: Record<string, ReadonlyArray<Check>> = {};
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const section of chosen) {
    const checks = (await run(section, { modelFolder: values.model, withPeer: values.peer })).map(withoutPaths);
    report[section.name] = checks;
    for (const { name, status, detail } of checks) {
      counts[status] += 1;
      log(`${status.padEnd(8)}${section.name}: ${name}${detail === undefined ? "" : ` - ${detail}`}`);
    }
  }
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  writeFileSync(
    values.out,
    `${JSON.stringify({ date: new Date().toISOString(), seconds, counts, ...report }, null, 2)}\n`,
  );
  log(
    `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped in ${seconds} s; the report is in ${values.out}`,
  );
  process.exitCode = counts.failed > 0 ? 1 : 0;
};

if (values.help) console.log(usage);
else await main();
