/** What it costs to operate mlxd as a network demands it: metrics alone in W7, and keys, TLS and metrics together in W1 to W3. */
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { apiKey, bearer, storedKey } from "../../test/support/api-key.ts";
import { createCertificate, noCertificate } from "../../test/support/certificate.ts";
import { type Bench, requests } from "./against-peer.ts";
import type { BenchModel } from "./bench-model.ts";
import type { RunningServer } from "./contender.ts";
import { drive } from "./load.ts";
import { startMlxd } from "./mlxd.ts";
import { messagesPerSecond } from "./overhead.ts";
import { compareNumbers } from "./rounds.ts";
import type { Row } from "./row.ts";
import { startProgram } from "./start-program.ts";

/** More often than any Prometheus does, so that each round has some. */
const scrapeEveryMs = 1000;

/** W7 with metrics that are counted and scraped ("ours"), and with none. */
export const metricsCost: Bench = {
  name: "W7 with metrics",
  run: async () => {
    const folder = mkdtempSync(join(tmpdir(), "mlxd-bench-"));
    // Two services cannot share a store of jobs.
    const start = (metrics: "counted" | "none") =>
      startProgram("scripted-service.ts", { METRICS: metrics, MLXD_JOBS_STORE: join(folder, metrics) });
    const [counted, bare] = [await start("counted"), await start("none")];
    try {
      const url = `http://127.0.0.1:${counted.port}`;
      return await compareNumbers({
        workload: "W7 with metrics",
        metric: "events/s",
        ours: () =>
          scraping(
            () => fetch(`${url}/metrics`).then((answer) => answer.text()),
            () => messagesPerSecond(counted.port),
          ),
        peer: () => messagesPerSecond(bare.port),
        target: { least: 0.98 },
      });
    } finally {
      for (const { child } of [counted, bare]) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
      rmSync(folder, { recursive: true });
    }
  },
};

/** W1 to W3 with keys, TLS and metrics ("ours"), and with none of them: the same model in two services. */
export const secured = (model: BenchModel): Bench => ({
  name: `secured ${model.name}`,
  run: async (log) => {
    const security = await makeSecurity();
    const ours = await startMlxd(model, security);
    const plain = await startMlxd(model, { environment: { MLXD_METRICS: "off" } });
    const scrape = () => security.scrape(ours.port);
    try {
      // The first requests pay for what is made once.
      for (const server of [ours, plain]) await drive(server, requests(32, 64, 8, -1), 32);
      const rows: Row[] = [];
      for (const [workload, clients, perClient] of workloads) {
        const speedOf = async (server: RunningServer, round: number): Promise<number> =>
          (await drive(server, requests(clients * perClient, 64, 64, round), clients)).tokensPerSecond;
        const measured = await compareNumbers({
          workload: `${workload} ${model.name} with keys, TLS and metrics`,
          metric: "tok/s",
          ours: (round) => scraping(scrape, () => speedOf(ours, round)),
          peer: (round) => speedOf(plain, round),
          target: { least: 0.97 },
        });
        rows.push(...measured);
        log(`${clients} clients done`);
      }
      return rows;
    } finally {
      await ours.stop();
      await plain.stop();
      security.remove();
    }
  },
});

/** Clients, and requests of each. */
const workloads = [
  ["W1", 1, 6],
  ["W2", 8, 3],
  ["W3", 32, 2],
] as const;

/** The settings of a service with keys and TLS, how it is called, and how its metrics are read. */
const makeSecurity = async () => {
  const certificate = await createCertificate();
  if (certificate === undefined) throw new Error(noCertificate);
  const folder = mkdtempSync(join(tmpdir(), "mlxd-bench-"));
  const write = (name: string, content: string | Buffer): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const tenants = {
    callers: { roles: ["inference"], keys: [storedKey("caller")], limits: { requests_per_minute: 1_000_000 } },
    operators: { roles: ["admin"], keys: [storedKey("operator")] },
  };
  const { ca } = certificate;
  return {
    environment: {
      MLXD_TLS_CERT: write("server.crt", certificate.cert),
      MLXD_TLS_KEY: write("server.key", certificate.key),
      MLXD_CONFIG: write("mlxd.yaml", JSON.stringify({ access: { tenants } })),
    },
    client: { tls: { ca }, credentials: apiKey("caller") },
    scrape: async (port: number): Promise<void> => {
      const [answer] = (await once(
        https.get({ host: "127.0.0.1", port, path: "/metrics", ca, headers: bearer("operator") }),
        "response",
      )) as [IncomingMessage];
      if (answer.statusCode !== 200) throw new Error(`/metrics answered ${answer.statusCode}`);
      for await (const _ of answer);
    },
    remove: () => rmSync(folder, { recursive: true }),
  };
};

const scraping = async <A>(scrape: () => Promise<unknown>, measure: () => Promise<A>): Promise<A> => {
  const over = new AbortController();
  const loop = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await scrape();
      await sleep(scrapeEveryMs, undefined, { signal: over.signal }).catch(() => {});
    }
  };
  const scraped = loop();
  try {
    return await measure();
  } finally {
    over.abort();
    await scraped;
  }
};
