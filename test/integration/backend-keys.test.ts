/**
 * The keys of backends: servers that repeat theirs in everything that they say, and all that the service then writes: answers, errors,
 * logs, metrics, traces, statistics, and the audit.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Effect, Exit, Scope } from "effect";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { CatalogService } from "../../src/client/gen/mlxd/v1/catalog_service_pb.ts";
import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { ModelService } from "../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { ServerService } from "../../src/client/gen/mlxd/v1/server_service_pb.ts";
import { ChatInputSchema, Role } from "../../src/client/gen/mlxd/v1/types_pb.ts";
import { keyHash } from "../support/api-key.ts";
import { type OtlpReceiver, startOtlpReceiver } from "../support/otlp-receiver.ts";
import { requestHttp1 } from "../support/raw-http.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { beginStream, chunk, four, type ScriptedBackend, scriptedBackend } from "../support/scripted-backend.ts";

const operator = "mlxd_operator-0123456789012345678901234567890123456789";
const keys = { variable: "sk-of-a-variable-83fa0", file: "sk-of-a-file-55b1c", preset: "sk-of-a-provider-90e7d" };

/** What its server answers, by the last word of the conversation; each has the key in its words. */
const answers = {
  whole: four,
  unauthorized: 401,
  refused: 400,
  missing: 404,
  busy: 429,
  broken: 500,
  error: `data: ${JSON.stringify({ error: { message: `no ${keys.variable}`, code: 400 } })}\n\n`,
  late: `${chunk({ content: "Fo" })}data: ${JSON.stringify({ error: { message: `no ${keys.variable}` } })}\n\n`,
  reason: chunk({}, `because of ${keys.variable}`),
  nothing: `data: ${keys.variable}\n\n`,
} as const;

let folder: string;
let receiver: OtlpReceiver;
let service: RunningService;
let backend: ScriptedBackend;
const scope = Scope.makeUnsafe();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-backend-keys-"));
  mkdirSync(join(folder, "models"));
  backend = await Effect.runPromise(
    scriptedBackend((response, { headers, body }) => {
      const said = JSON.stringify(body["messages"]);
      const answer = Object.entries(answers).find(([word]) => said.includes(word))?.[1] ?? 404;
      const own = headers.authorization?.replace("Bearer ", "") ?? "";
      if (typeof answer === "string") return void beginStream(response).end(answer.replaceAll(keys.variable, own));
      response.writeHead(answer, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: { message: `what is ${headers.authorization}?` } }));
    }).pipe(Scope.provide(scope)),
  );
  writeFileSync(join(folder, "key"), `${keys.file}\n`);
  const { baseUrl } = backend.settings;
  writeFileSync(
    join(folder, "mlxd.yaml"),
    JSON.stringify({
      service: { models: "models", audit_log: "audit.jsonl" },
      access: {
        tenants: { ops: { roles: ["inference", "models", "admin"], keys: [{ id: "ops", hash: keyHash(operator) }] } },
      },
      backends: {
        variable: { engine: "vllm", base_url: baseUrl, api_key_variable: "ATTIC_KEY" },
        file: { engine: "vllm", base_url: baseUrl, api_key_file: "key" },
      },
      models: Object.fromEntries(
        ["variable", "file"].map((name) => [name, { backend: name, model: "m", context_length: 4096 }]),
      ),
    }),
  );
  receiver = await startOtlpReceiver();
  service = await startService({
    MLXD_CONFIG: join(folder, "mlxd.yaml"),
    MLXD_TRACE_ENDPOINT: receiver.url,
    MLXD_LOG_LEVEL: "Trace",
    MLXD_LOG_FORMAT: "json",
    MLXD_PRELOAD: "none",
    ATTIC_KEY: keys.variable,
    OPENAI_API_KEY: keys.preset,
  });
}, 300_000);
afterAll(async () => {
  await service.stop();
  await receiver[Symbol.asyncDispose]();
  await Effect.runPromise(Scope.close(scope, Exit.void));
  rmSync(folder, { recursive: true });
});

const told: string[] = [];
const note = (value: unknown): void => {
  if (!(value instanceof ConnectError)) return void told.push(JSON.stringify(value, bigints));
  const { message, details, metadata } = value;
  const bytes = details.map((each) =>
    "value" in each ? Buffer.from(each.value as Uint8Array).toString("latin1") : "",
  );
  told.push(message, ...bytes, JSON.stringify([...metadata]));
};
const bigints = (_key: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);
const ask = (answer: Promise<unknown>): Promise<void> =>
  answer.then(note, (error: unknown) => note(ConnectError.from(error)));

describe("the keys of backends", { timeout: 300_000 }, () => {
  it("are written nowhere but where they belong", async () => {
    const show: Interceptor = (next) => (call) => {
      call.header.set("authorization", `Bearer ${operator}`);
      return next(call);
    };
    const transport = createGrpcTransport({ baseUrl: service.url, interceptors: [show] });
    const generation = createClient(GenerationService, transport);
    for (const model of ["variable", "file"]) {
      for (const word of Object.keys(answers)) {
        const content = [{ part: { case: "text" as const, value: word } }];
        const chat = create(ChatInputSchema, { messages: [{ role: Role.USER, content }] });
        const task = { model, input: { case: "chat" as const, value: chat } };
        await ask(generation.generate({ task }));
        const stream = async () => {
          for await (const part of generation.streamGenerate({ task })) note(part);
        };
        await ask(stream());
      }
    }
    const models = createClient(ModelService, transport);
    const catalog = createClient(CatalogService, transport);
    const server = createClient(ServerService, transport);
    const openai = { case: "backend", value: { engine: "openai" } } as const;
    await ask(catalog.createEntry({ name: "provider", entry: openai }));
    await ask(catalog.createEntry({ name: "provider", entry: openai }));
    for (const apiKeyVariable of ["ATTIC_KEY", "MLXD_HF_TOKEN", "NO_SUCH_KEY", keys.variable]) {
      const entry = { case: "backend", value: { engine: "vllm", apiKeyVariable } } as const;
      await ask(catalog.createEntry({ name: "attic", entry }));
      await ask(catalog.updateEntry({ name: "attic", entry }));
    }
    // A key that is none is told of, without what it is.
    writeFileSync(join(folder, "key"), `${keys.file} ${keys.file}`);
    await ask(models.reloadCatalog({}));
    await ask(models.listModels({}));
    await ask(
      (async () => {
        for await (const part of models.prepareModel({ model: "variable" })) note(part);
      })(),
    );
    await ask(server.getServerInfo({}));
    await ask(server.getStats({}));
    const metrics = await requestHttp1(service.port, {
      method: "GET",
      path: "/metrics",
      headers: { authorization: `Bearer ${operator}` },
    });
    await receiver.until(({ name }) => name.endsWith("/GetStats"));
    await service.stop();
    // They were used, and what was answered came to the callers.
    for (const key of [keys.variable, keys.file]) {
      assert.isTrue(backend.requests.some(({ headers }) => headers.authorization === `Bearer ${key}`));
    }
    assert.include(told.join("\n"), "Four.");
    assert.include(told.join("\n"), "<key>");
    const places = {
      told: told.join("\n"),
      log: service.log(),
      audit: readFileSync(join(folder, "audit.jsonl"), "utf8"),
      metrics: metrics.body.toString(),
      traces: receiver.text(),
    };
    for (const [place, text] of Object.entries(places)) {
      assert.isAbove(text.length, 500, place);
      for (const key of Object.values(keys)) {
        const at = text.indexOf(key);
        assert.strictEqual(at, -1, `${key} in ${place}: ${text.slice(Math.max(0, at - 120), at)}`);
      }
    }
  });
});
