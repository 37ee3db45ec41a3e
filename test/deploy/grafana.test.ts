/**
 * The dashboard and the alerts of deploy/grafana, against a real Prometheus that scraped a real run: a query that is misspelt finds nothing,
 * and an alert on it never fires. Grafana itself is in no registry that the tests may use, so the dashboard's JSON is checked by its structure.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { parse } from "yaml";

import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { apiKey, storedKey } from "../support/api-key.ts";
import { alertRules, promtool, type RunningPrometheus, startPrometheus } from "../support/prometheus.ts";
import { type RunningService, startService } from "../support/running-service.ts";

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: ReadonlyArray<{ readonly refId: string; readonly expr: string }>;
}

interface Variable {
  readonly name: string;
  readonly type: string;
  readonly definition?: string;
}

/** Of compose.yaml. */
interface Service {
  readonly profiles?: ReadonlyArray<string>;
  readonly depends_on?: unknown;
}

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: { readonly summary: string; readonly runbook: string };
}

const dashboard = JSON.parse(readFileSync(new URL("../../deploy/grafana/mlxd.json", import.meta.url), "utf8")) as {
  readonly panels: ReadonlyArray<Panel>;
  readonly templating: { readonly list: ReadonlyArray<Variable> };
};
const { panels, templating } = dashboard;
const [group] = (parse(readFileSync(alertRules, "utf8")) as { groups: ReadonlyArray<{ rules: ReadonlyArray<Alert> }> })
  .groups;
const alerts = group?.rules ?? [];
const operations = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8");

describe("the dashboard", () => {
  it("has panels with an id of their own, side by side, each with a query", () => {
    assert.strictEqual(new Set(panels.map(({ id }) => id)).size, panels.length);
    const cells = panels.flatMap(({ title, gridPos: { x, y, w, h } }) => {
      assert.isAtMost(x + w, 24, title);
      return Array.from({ length: w * h }, (_, at) => `${x + (at % w)},${y + Math.floor(at / w)}`);
    });
    assert.strictEqual(new Set(cells).size, cells.length, "two panels overlap");
    for (const { type, title, targets = [] } of panels) {
      if (type !== "row") assert.isNotEmpty(targets, title);
      assert.strictEqual(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
    }
  });

  it("uses no variable that it does not have", () => {
    const known = new Set([...templating.list.map(({ name }) => name), "__rate_interval"]);
    for (const [, name = ""] of JSON.stringify(panels).matchAll(/\$\{?(\w+)\}?/g)) assert.isTrue(known.has(name), name);
  });
});

describe("Grafana in compose.yaml", () => {
  const folder = new URL("../../deploy/compose/", import.meta.url);
  const read = (path: string) => parse(readFileSync(new URL(path, folder), "utf8"), { merge: true });
  const { services } = read("compose.yaml");
  const { grafana, ...others } = services;
  const mounts = new Map<string, string>(
    grafana.volumes.map((volume: string) => {
      const [from = "", to = ""] = volume.split(":");
      return [to, from];
    }),
  );

  it("starts only if its profile is asked for, and listens on this machine alone", () => {
    assert.deepStrictEqual(grafana.profiles, ["grafana"]);
    for (const port of grafana.ports) assert.match(port, /^127\.0\.0\.1:/);
    for (const { profiles, depends_on: needs = [] } of Object.values(others as Readonly<Record<string, Service>>)) {
      assert.isUndefined(profiles);
      assert.notInclude(JSON.stringify(needs), "grafana");
    }
  });

  it("finds the dashboard, and Prometheus, where Grafana looks for both", () => {
    const provisioning = `${mounts.get("/etc/grafana/provisioning")}/`;
    const [{ options }] = read(`${provisioning}dashboards/mlxd.yaml`).providers;
    const file = mounts.get(`${options.path}/mlxd.json`) ?? assert.fail(`nothing is mounted in ${options.path}`);
    assert.deepStrictEqual(read(file), dashboard);
    const [{ type, url, isDefault }] = read(`${provisioning}datasources/prometheus.yaml`).datasources;
    assert.deepStrictEqual([type, isDefault], ["prometheus", true]);
    const { hostname, port } = new URL(url);
    assert.include(JSON.stringify(services[hostname].ports), `:${port}`);
  });
});

describe("the alerts", () => {
  it("are what promtool takes, and fire on what they are for alone", async (context) => {
    for (const args of [
      ["check", "rules", alertRules],
      ["test", "rules", new URL("alert-rules.yaml", import.meta.url).pathname],
    ]) {
      const checked = await promtool(args);
      if (typeof checked === "string") return context.skip(checked);
      assert.strictEqual(checked.problem, "");
    }
  });

  it.each(alerts)("$alert has its section in docs/operations.md", ({ alert, annotations }) => {
    assert.include(operations, `\n### ${alert}\n`);
    assert.strictEqual(annotations.runbook, `docs/operations.md#${alert.toLowerCase()}`);
  });

  it("are all that the page tells of", () => {
    const told = [...operations.matchAll(/^### (Mlxd\w+)$/gm)].map(([, name]) => name);
    assert.sameMembers(
      told,
      alerts.map(({ alert }) => alert),
    );
  });
});

describe("against a real Prometheus", { timeout: 300_000 }, () => {
  let folder: string;
  let service: RunningService;
  let prometheus: RunningPrometheus | string;
  const stop = new AbortController();
  let calling: Promise<void> | undefined;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "mlxd-grafana-"));
    const roles = ["inference"];
    const access = {
      open: ["metrics"],
      tenants: {
        free: { roles, keys: [storedKey("free")] },
        limited: { roles, keys: [storedKey("limited")], limits: { tokens_per_minute: 1 } },
      },
    };
    writeFileSync(join(folder, "mlxd.yaml"), JSON.stringify({ access }));
    service = await startService({ MLXD_SPECULATION: "always", MLXD_CONFIG: join(folder, "mlxd.yaml") });
    prometheus = await startPrometheus(service.port);
    if (typeof prometheus !== "string") calling = callAgainAndAgain();
  }, 300_000);
  afterAll(async () => {
    stop.abort();
    await calling;
    if (typeof prometheus !== "string") await prometheus[Symbol.asyncDispose]();
    await service.stop();
    rmSync(folder, { recursive: true });
  });

  const clientOf = (id: string) => {
    const showKey: Interceptor = (next) => (call) => {
      call.header.set("authorization", `Bearer ${apiKey(id)}`);
      return next(call);
    };
    return createClient(GenerationService, createGrpcTransport({ baseUrl: service.url, interceptors: [showKey] }));
  };

  /** Something of everything: output, drafts, refusals. Until the queries have been answered: rates are of what goes on. */
  const callAgainAndAgain = async (): Promise<void> => {
    const client = clientOf("free");
    const limited = clientOf("limited");
    const input = { case: "prompt", value: "1 2 3 1 2 3 1 2 3" } as const;
    while (!stop.signal.aborted) {
      await client.generate({ task: { input, stop: { ignoreEos: true, maxOutputTokens: 16 } } });
      await client.generate({ task: { model: "nobody", input } }).catch(() => {});
      await limited.generate({ task: { input } }).catch(() => {});
    }
  };

  const found = async (query: string): Promise<void> => {
    if (typeof prometheus === "string") return;
    const until = performance.now() + 60_000;
    while (performance.now() < until) {
      const answer = await prometheus.query(query);
      assert.strictEqual(answer.error, "", query);
      if (answer.found > 0) return;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    assert.fail(`nothing is found by ${query}`);
  };

  const filled = (expr: string): string =>
    expr.replaceAll("$instance", ".*").replaceAll("$model", ".*").replaceAll("$__rate_interval", "30s");

  it.for(
    panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ refId, expr }) => ({ name: `${title} ${refId}`, expr })),
    ),
  )("the query $name finds what it is for", async ({ expr }, context) => {
    if (typeof prometheus === "string") return context.skip(prometheus);
    await found(filled(expr));
  });

  it("the variables find their values", async (context) => {
    if (typeof prometheus === "string") return context.skip(prometheus);
    for (const { definition } of templating.list) {
      const [, metric = "", label = ""] = /^label_values\((\w+), (\w+)\)$/.exec(definition ?? "") ?? [];
      if (definition !== undefined) await found(`count by (${label}) (${metric}{${label}!=""})`);
    }
  });

  it.for(alerts)("the query of $alert is answered, and each of its metrics is there", async ({ expr }, context) => {
    if (typeof prometheus === "string") return context.skip(prometheus);
    const { error } = await prometheus.query(expr);
    assert.strictEqual(error, "");
    const names = new Set(expr.match(/\b(?:mlxd|gen_ai|nodejs|process)_\w+/g));
    for (const name of names) await found(`count(${name})`);
  });

  it("Prometheus has read every alert", async (context) => {
    if (typeof prometheus === "string") return context.skip(prometheus);
    assert.sameMembers(
      [...(await prometheus.alerts())],
      alerts.map(({ alert }) => alert),
    );
  });
});
