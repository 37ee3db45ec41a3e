/** The result as people read it. */
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";

import type { Row } from "./row.ts";

export const formatTable = (rows: ReadonlyArray<Row>): string =>
  [
    "| workload | metric | ours | peer | ratio | target | |",
    "|---|---|---|---|---|---|---|",
    ...rows.map(
      ({ workload, metric, ours, peer, ratio, target, ok }) =>
        `| ${workload} | ${metric} | ${round(ours)} | ${round(peer)} | ${ratio.toFixed(2)} | ${target} | ${ok ? "met" : "missed"} |`,
    ),
  ].join("\n");

export const describeMachine = (peerVersions: string): string => {
  const [cpu] = cpus();
  const gibibytes = Math.round(totalmem() / 1024 ** 3);
  return `${cpus().length} × ${cpu?.model.trim() ?? "unknown CPU"}, ${gibibytes} GiB, ${process.platform} ${process.arch}, Node ${process.versions.node}; peer: ${peerVersions}`;
};

/** Replaces what stands between the markers of a page. */
export const replaceTable = (path: string, lines: ReadonlyArray<string>): void => {
  const page = readFileSync(path, "utf8");
  const block = /(<!-- results -->\n)[^]*?(<!-- end of results -->)/;
  if (!block.test(page)) throw new Error(`${path} has no markers "results" and "end of results"`);
  writeFileSync(
    path,
    page.replace(block, (_, start: string, end: string) => `${start}${lines.join("\n")}\n${end}`),
  );
};

const round = (value: number): string =>
  value === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
