/** Backends and models that an administrator registers while the service runs, through the client. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Effect, Exit, Scope } from "effect";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { createMlxdClient, type NodeClient } from "../../src/client/node.ts";
import { apiKey, keyHash } from "../support/api-key.ts";
import { mlxdErrorOf } from "../support/error-of.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { beginStream, four, type ScriptedBackend, scriptedBackend } from "../support/scripted-backend.ts";
import { until } from "../support/until.ts";

let folder: string;
let service: RunningService;
let backend: ScriptedBackend;
let admin: NodeClient;
const scope = Scope.makeUnsafe();
const file = () => readFileSync(join(folder, "mlxd.yaml"), "utf8");

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-catalog-entries-"));
  mkdirSync(join(folder, "models"));
  backend = await Effect.runPromise(
    scriptedBackend((response) => void beginStream(response).end(four)).pipe(Scope.provide(scope)),
  );
  const tenant = (id: string, roles: string, more = "") =>
    `    ${id}: { roles: [${roles}], keys: [{ id: ${id}, hash: "${keyHash(apiKey(id))}" }]${more} }\n`;
  writeFileSync(
    join(folder, "mlxd.yaml"),
    `# Ours
service: { models: models, audit_log: audit.jsonl }
access:
  tenants:
${tenant("ops", "inference, admin")}${tenant("acme", "inference, models")}${tenant("few", "admin", ", models: [none]")}`,
  );
  service = await startService({
    MLXD_CONFIG: join(folder, "mlxd.yaml"),
    MLXD_PRELOAD: "none",
    ATTIC_KEY: "sk-attic",
    MLXD_CATALOG_KEYS: `ATTIC_KEY@${new URL(backend.settings.baseUrl).host}`,
  });
  admin = createMlxdClient({ baseUrl: service.url, credentials: apiKey("ops") });
}, 300_000);
afterAll(async () => {
  admin.close();
  await service.stop();
  await Effect.runPromise(Scope.close(scope, Exit.void));
  rmSync(folder, { recursive: true });
});

describe("backends and models that are registered", { timeout: 300_000 }, () => {
  it("answer at once, and are gone when they are deleted", async () => {
    const entry = { engine: "vllm", baseUrl: backend.settings.baseUrl, apiKeyVariable: "ATTIC_KEY", permits: 2 };
    assert.deepStrictEqual(await admin.catalog.create("attic", { backend: entry }), {
      added: [],
      removed: [],
      changed: [],
    });
    const model = { backend: "attic", model: "org/four", contextLength: 4096, aliases: ["4"], defaults: { topP: 0.5 } };
    assert.deepStrictEqual((await admin.catalog.create("four", { model })).added, ["four"]);
    assert.strictEqual((await admin.generate("2+2?", { model: "4" })).text, "Four.");
    const [request] = backend.requests;
    assert.strictEqual(request?.headers.authorization, "Bearer sk-attic");
    assert.deepInclude(request?.body, { model: "org/four", top_p: 0.5 });
    assert.deepStrictEqual(
      (await admin.listModels({ engines: ["vllm"] })).map(({ id }) => id),
      ["four"],
    );
    assert.deepStrictEqual((await admin.catalog.update("four", { model: { ...model, aliases: [] } })).changed, [
      "four",
    ]);
    assert.strictEqual((await mlxdErrorOf(admin.generate("2+2?", { model: "4" }))).reason, "MODEL_NOT_FOUND");
    assert.notInclude(file(), "attic");
    assert.deepStrictEqual((await admin.catalog.delete({ model: "four" })).removed, ["four"]);
    await admin.catalog.delete({ backend: "attic" });
    assert.deepStrictEqual(await admin.listModels({ engines: ["vllm"] }), []);
  });

  it("are written to the file on request", async () => {
    const model = { engine: "ollama", model: "qwen3:8b", contextLength: 8192, memoryBytes: undefined };
    await admin.catalog.create("qwen", { model }, { writeBack: true });
    assert.match(
      file(),
      /^# Ours\n[^]+models:\n {2}qwen:\n {4}engine: ollama\n {4}model: qwen3:8b\n {4}context_length: 8192\n$/,
    );
    assert.deepStrictEqual(await admin.reloadCatalog(), { added: [], removed: [], changed: [] });
    await admin.catalog.delete({ model: "qwen" }, { writeBack: true });
    assert.notInclude(file(), "qwen");
  });

  it("are refused with the field at fault", async () => {
    const cases = [
      [{ model: { engine: "ollama" } }, "INVALID_FIELD", "model.contextLength"],
      [{ model: { engine: "olama", contextLength: 1 } }, "INVALID_FIELD", "model.engine"],
      [{ backend: { engine: "vllm", apiKeyVariable: "MLXD_HF_TOKEN" } }, "INVALID_FIELD", "backend.apiKeyVariable"],
      [{ backend: { engine: "vllm", permits: 0 } }, "INVALID_FIELD", "backend.permits"],
      [{ backend: { engine: "vllm", baseUrl: "ftp://attic" } }, "INVALID_FIELD", "backend.baseUrl"],
    ] as const;
    for (const [entry, reason, field] of cases) {
      const error = await mlxdErrorOf(admin.catalog.create("new", entry));
      assert.deepStrictEqual([error.code, error.reason], ["INVALID_ARGUMENT", reason], error.message);
      assert.deepStrictEqual(
        error.violations.map((violation) => violation.field),
        [field],
      );
    }
    const misspelt = { backend: { engine: "vllm", permit: 1 } } as unknown as { backend: { engine: string } };
    assert.include(
      (await mlxdErrorOf(admin.catalog.create("new", misspelt))).message,
      "backend.permit: there is no such key",
    );
    await admin.catalog.create("new", { backend: { engine: "vllm" } });
    const twice = await mlxdErrorOf(admin.catalog.create("NEW", { backend: { engine: "vllm" } }));
    assert.deepStrictEqual([twice.code, twice.reason], ["ALREADY_EXISTS", "ENTRY_EXISTS"]);
    const gone = await mlxdErrorOf(admin.catalog.delete({ backend: "nwe" }));
    assert.deepStrictEqual([gone.code, gone.reason, gone.metadata["nearest"]], ["NOT_FOUND", "ENTRY_NOT_FOUND", "new"]);
  });

  it("are for administrators of all models, and each call is in the audit", async () => {
    for (const [tenant, reason] of [
      ["acme", "ROLE_MISSING"],
      ["few", "NOT_ALLOWED"],
    ] as const) {
      const client = createMlxdClient({ baseUrl: service.url, credentials: apiKey(tenant) });
      assert.strictEqual((await mlxdErrorOf(client.catalog.delete({ backend: "new" }))).reason, reason);
      client.close();
    }
    await admin.catalog.delete({ backend: "new" });
    const audited = () =>
      readFileSync(join(folder, "audit.jsonl"), "utf8")
        .split("\n")
        .filter((line) => line.endsWith("}"))
        .map((line) => JSON.parse(line) as Record<string, string>)
        .filter(({ method }) => method?.startsWith("mlxd.v1.CatalogService/"));
    // A line is written once its call has been answered.
    await until(() => {
      const { method, model } = audited().at(-1) ?? {};
      return method?.endsWith("/DeleteEntry") === true && model === "new";
    });
    const lines = audited();
    assert.deepInclude(lines[0], {
      tenant: "ops",
      method: "mlxd.v1.CatalogService/CreateEntry",
      model: "attic",
      outcome: "OK",
    });
    assert.isTrue(lines.some(({ tenant, outcome }) => tenant === "few" && outcome === "NOT_ALLOWED"));
    assert.deepInclude(lines.at(-1), { method: "mlxd.v1.CatalogService/DeleteEntry", model: "new", outcome: "OK" });
  });
});
