/** The service as it is started, with keys that change while it runs, and with tenants that may not use or see everything. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { bearer, storedKey } from "../support/api-key.ts";
import { requestHttp1 } from "../support/raw-http.ts";
import { type RunningService, startService } from "../support/running-service.ts";

let folder: string;
let service: RunningService;
const everyRole = ["inference", "models", "jobs", "admin"];
const declare = (...ids: string[]) => {
  const tenants = {
    acme: { roles: ["inference"], keys: ids.map(storedKey) },
    restricted: { roles: everyRole, keys: [storedKey("restricted")], models: ["other-*"] },
    thrifty: { roles: ["inference"], keys: [storedKey("thrifty")], limits: { tokens_per_minute: 1 } },
  };
  writeFileSync(join(folder, "mlxd.yaml"), JSON.stringify({ access: { tenants } }));
};
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-access-"));
  declare("a");
  service = await startService({ MLXD_CONFIG: join(folder, "mlxd.yaml"), MLXD_PRELOAD: "none" });
}, 120_000);
afterAll(async () => {
  await service.stop();
  rmSync(folder, { recursive: true });
});

const call = async (id: string, method: string, message: object = {}) => {
  const { status, body } = await requestHttp1(service.port, {
    path: `/mlxd.v1.${method}`,
    headers: { "content-type": "application/json", ...bearer(id) },
    body: JSON.stringify(message),
  });
  return { status, answer: JSON.parse(body.toString()) as Record<string, unknown> };
};
const statusFor = async (id: string) => (await call(id, "ModelService/ListModels")).status;

/** What a key is answered with, once that is so. */
const until = async (id: string, wanted: number): Promise<void> => {
  const giveUpAt = Date.now() + 60_000;
  while ((await statusFor(id)) !== wanted) {
    if (Date.now() > giveUpAt) assert.fail(`key ${id} was not answered with ${wanted} in time`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

describe("keys in mlxd.yaml", () => {
  it("are taken in when the file changes, and with SIGHUP", async () => {
    assert.equal(await statusFor("a"), 200);
    assert.equal(await statusFor("b"), 401);
    declare("a", "b");
    await until("b", 200);
    assert.equal(await statusFor("a"), 200);
    declare("b");
    service.process.kill("SIGHUP");
    await until("a", 401);
    assert.equal(await statusFor("b"), 200);
  }, 130_000);

  it("stay in force while the file is broken", async () => {
    writeFileSync(join(folder, "mlxd.yaml"), "access: [");
    service.process.kill("SIGHUP");
    // Longer than a look at the file takes.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    assert.equal(await statusFor("b"), 200);
    assert.equal(await statusFor("z"), 401);
  }, 60_000);

  it("do not stand in what a process list shows", () => {
    const shown = execFileSync("ps", ["-o", "args=", "-p", String(service.process.pid)], { encoding: "utf8" });
    assert.notInclude(shown, "mlxd_test");
  });
});

describe("a tenant that may not use a model", () => {
  it("finds its name in no answer, while it is loaded", async () => {
    declare("b");
    const embedded = await call("b", "EmbeddingService/Embed", { inputs: [{ text: "a" }] });
    assert.equal(embedded.status, 200);
    const methods = [
      "ModelService/ListModels",
      "ModelService/ListLoadedModels",
      "ModelService/ListCompatibilityProfiles",
      "ModelService/ReloadCatalog",
      "CacheService/ListCachedModels",
      "CacheService/GetCacheStats",
      "ServerService/GetServerInfo",
      "ServerService/GetStats",
      "ServerService/GetLoad",
    ];
    for (const method of methods) {
      const { status, answer } = await call("restricted", method);
      assert.equal(status, 200, method);
      assert.notInclude(JSON.stringify(answer), "demo", method);
    }
    // Nor does it learn from a refusal whether there is such a model.
    const refusal = async (model: string) => {
      const { status, answer } = await call("restricted", "ModelService/GetModel", { model });
      assert.equal(status, 403, model);
      return String(answer["message"]).replace(model, "NAME");
    };
    assert.equal(await refusal("demo"), await refusal("none"));
    assert.equal(await refusal("mlx:demo"), await refusal("mlx:none"));
    assert.equal(await refusal("DEMO"), await refusal("none"));
    assert.notInclude(await refusal(""), "demo");
    // The others see it.
    const { answer } = await call("b", "ServerService/GetLoad");
    assert.include(JSON.stringify(answer), "demo");
  }, 240_000);
});

describe("a tenant without tokens", () => {
  it("is refused what spends some before any of its message is read, and is answered everything else", async () => {
    const one = { inputs: [{ tokens: { ids: [5] } }] };
    assert.equal((await call("thrifty", "EmbeddingService/Embed", one)).status, 200);
    for (const method of ["EmbeddingService/Embed", "GenerationService/Generate"]) {
      const sent = request({
        host: "127.0.0.1",
        port: service.port,
        method: "POST",
        path: `/mlxd.v1.${method}`,
        headers: { "content-type": "application/json", "content-length": "1000000", ...bearer("thrifty") },
      });
      sent.flushHeaders();
      const [response] = (await once(sent, "response")) as [IncomingMessage];
      assert.equal(response.statusCode, 429, method);
      assert.equal(response.headers["x-ratelimit-remaining-tokens"], "0");
      assert.isAbove(Number(response.headers["retry-after"]), 0);
      sent.destroy();
    }
    assert.equal((await call("thrifty", "TokenizerService/CountTokens", { task: { prompt: "a" } })).status, 200);
    assert.equal((await call("thrifty", "ModelService/ListModels")).status, 200);
  }, 240_000);

  it("costs the service less by a call that is refused than by one that is answered without an engine", async () => {
    // Refused even where a minute has gone by: its prompt and an output are two tokens. It was tokenised first, as the other one is.
    const message = { task: { prompt: "1 2 3 ".repeat(200) } };
    const all = async (method: string, expected: number) => {
      for (let made = 0; made < 40; made++) {
        assert.equal((await call("thrifty", method, message)).status, expected, method);
      }
    };
    const refused = () => all("GenerationService/Generate", 429);
    const answered = () => all("TokenizerService/CountTokens", 200);
    const cpuSecondsOf = async (calls: () => Promise<void>) => {
      const before = await cpuSeconds();
      await calls();
      return (await cpuSeconds()) - before;
    };
    await refused();
    await answered();
    // Other work of the process only adds to a round: the cheapest ones have least of it.
    const [ofRefused, ofAnswered]: [number[], number[]] = [[], []];
    for (let round = 0; round < 5; round++) {
      ofRefused.push(await cpuSecondsOf(refused));
      ofAnswered.push(await cpuSecondsOf(answered));
    }
    assert.isBelow(Math.min(...ofRefused), Math.min(...ofAnswered));
  }, 240_000);
});

/** What the service's process, without those of its engines and sandbox, has computed. */
const cpuSeconds = async (): Promise<number> => {
  const { body } = await requestHttp1(service.port, { method: "GET", path: "/metrics", headers: bearer("restricted") });
  const [, seconds] = /^process_cpu_seconds_total (\S+)$/m.exec(body.toString()) ?? [];
  assert.isDefined(seconds);
  return Number(seconds);
};
