/**
 * `npm run bench -- --json FILE`: mlxd against mlx_lm.server on the same machine in the same run, by ratios.
 *
 * --json FILE      writes the rows {workload, metric, ours, peer, ratio, target, ok}
 * --table FILE     puts the table into FILE, between its markers (docs/benchmarks.md)
 * --only TEXT      only the workloads whose name contains TEXT, e.g. `W3` or `7M`; may be repeated
 *
 * Takes an hour, wants an idle machine, and needs Python 3 with venv for the peer. Workloads of a model that cannot be had
 * are left out with a reason.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";

import { throughBackend } from "./bench/backend.ts";
import { type Bench, clients, longPrompts, sharedPrefix, startUp } from "./bench/against-peer.ts";
import { randomModel, realModel } from "./bench/bench-model.ts";
import { clientCost } from "./bench/client.ts";
import { constrained } from "./bench/constrained.ts";
import { large, small } from "./bench/checkpoints.ts";
import { draftModel, drafts } from "./bench/drafts.ts";
import { beside, settledItems } from "./bench/jobs.ts";
import { otherKernels } from "./bench/math-environment.ts";
import { engineAlone, messages, throughService } from "./bench/overhead.ts";
import { ensurePeer } from "./bench/peer.ts";
import { RealModelMissing } from "./real-model/ensure.ts";
import type { Row } from "./bench/row.ts";
import { metricsCost, secured } from "./bench/secured.ts";
import { describeMachine, formatTable, replaceTable } from "./bench/table.ts";

const { values } = parseArgs({
  options: {
    json: { type: "string" },
    table: { type: "string" },
    only: { type: "string", multiple: true },
    help: { type: "boolean" },
  },
});

const usage = "usage: npm run bench -- [--json FILE] [--table FILE] [--only TEXT]...";

const log = (line: string): void => void process.stderr.write(`${line}\n`);

const mebibyte = 1024 ** 2;
const randomModels = [randomModel(small), randomModel(large)];

const benches: ReadonlyArray<Bench> = [
  ...[...randomModels, realModel].flatMap((model) => [
    engineAlone(model),
    ...otherKernels().map((kernels) => engineAlone(model, kernels)),
  ]),
  ...randomModels.map(throughService),
  messages,
  metricsCost,
  clientCost,
  throughBackend,
  settledItems,
  ...randomModels.map(beside),
  ...[small, large].map(drafts),
  draftModel,
  ...randomModels.map((model) => constrained(model)),
  ...[...randomModels, realModel].flatMap((model) => [
    clients(model),
    sharedPrefix(model),
    sharedPrefix(model, 1024 * mebibyte),
    longPrompts(model),
  ]),
  ...randomModels.map(startUp),
  ...randomModels.map(secured),
];

const run = async (): Promise<void> => {
  const chosen = benches.filter(({ name }) => values.only?.some((text) => name.includes(text)) ?? true);
  if (chosen.length === 0)
    throw new Error(`no workload is named so; there are ${benches.map(({ name }) => name).join(", ")}`);
  const versions = chosen.every(({ name }) => /^(W7|secured)/.test(name)) ? "none" : ensurePeer();
  const rows: Row[] = [];
  for (const [index, bench] of chosen.entries()) {
    log(`${index + 1} of ${chosen.length}: ${bench.name}`);
    const measured = await bench.run(log).catch((error: Error) => {
      if (!(error instanceof RealModelMissing)) throw error;
      log(`left out: ${error.message}`);
      return [];
    });
    rows.push(...measured);
    log(formatTable(measured));
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
  if (values.table !== undefined) replaceTable(values.table, [describeMachine(versions), "", formatTable(rows)]);
  const missed = rows.filter(({ ok }) => !ok).length;
  log(missed === 0 ? `${rows.length} targets met` : `${missed} of ${rows.length} targets missed`);
};

if (values.help === true) process.stdout.write(`${usage}\n`);
else await run();
