/** A real Prometheus that scrapes a service every second and has the project's alert rules. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { endWithThisProcess } from "./end-with-this-process.ts";
import { debianPrometheus } from "./tools.ts";
import { freePort } from "./free-port.ts";

export const alertRules = fileURLToPath(new URL("../../deploy/grafana/alerts.yaml", import.meta.url));

interface QueryAnswer {
  /** Empty where the query is right. */
  readonly error: string;
  /** Series that it has found. */
  readonly found: number;
}

export interface RunningPrometheus extends AsyncDisposable {
  /** Answers an instant query, as Grafana asks it. */
  readonly query: (promql: string) => Promise<QueryAnswer>;
  /** Names of the alerts that it has read. */
  readonly alerts: () => Promise<ReadonlyArray<string>>;
}

/** Or why it cannot be had here. */
export const startPrometheus = async (servicePort: number): Promise<RunningPrometheus | string> => {
  const programs = await debianPrometheus();
  if (typeof programs === "string") return programs;
  const folder = mkdtempSync(join(tmpdir(), "mlxd-prometheus-"));
  const config = join(folder, "prometheus.yml");
  writeFileSync(
    config,
    JSON.stringify({
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      rule_files: [alertRules],
      scrape_configs: [{ job_name: "mlxd", static_configs: [{ targets: [`127.0.0.1:${servicePort}`] }] }],
    }),
  );
  const port = await freePort();
  const child = spawn(
    programs.prometheus,
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  endWithThisProcess(child);
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => (log = (log + chunk.toString()).slice(-4000)));
  const url = `http://127.0.0.1:${port}`;
  while (!(await isReady(url))) {
    if (child.exitCode !== null) throw new Error(`Prometheus has ended:\n${log}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    query: async (promql) => {
      const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(promql)}`);
      const { status, error, data } = (await response.json()) as PrometheusAnswer;
      return { error: status === "success" ? "" : (error ?? status), found: data?.result?.length ?? 0 };
    },
    alerts: async () => {
      const response = await fetch(`${url}/api/v1/rules`);
      const { data } = (await response.json()) as PrometheusAnswer;
      return (data?.groups ?? []).flatMap(({ rules }) => rules.map(({ name }) => name));
    },
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

/** Runs promtool with these arguments; gives what it says where it does not agree, or why it cannot be had. */
export const promtool = async (args: ReadonlyArray<string>): Promise<{ readonly problem: string } | string> => {
  const programs = await debianPrometheus();
  if (typeof programs === "string") return programs;
  return promisify(execFile)(programs.promtool, [...args]).then(
    () => ({ problem: "" }),
    (error: { stdout?: string; stderr?: string }) => ({ problem: `${error.stdout ?? ""}${error.stderr ?? ""}` }),
  );
};

interface PrometheusAnswer {
  readonly status: string;
  readonly error?: string;
  readonly data?: {
    readonly result?: ReadonlyArray<unknown>;
    readonly groups?: ReadonlyArray<{ readonly rules: ReadonlyArray<{ readonly name: string }> }>;
  };
}

const isReady = (url: string): Promise<boolean> =>
  fetch(`${url}/-/ready`).then(
    ({ ok }) => ok,
    () => false,
  );
