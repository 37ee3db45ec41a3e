/**
 * What must not leave its place: texts that nobody could make up are sent as prompt, output, key and path through every RPC and many
 * errors, and looked for in all that the service logs, measures, traces and answers errors with.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import { type Client, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { apiServices } from "../../src/service/rpc/routes.ts";
import { keyHash } from "../support/api-key.ts";
import { filledMessage } from "../support/filled-messages.ts";
import { type OtlpReceiver, startOtlpReceiver } from "../support/otlp-receiver.ts";
import { requestHttp1 } from "../support/raw-http.ts";
import { type RunningService, startService } from "../support/running-service.ts";

const canaries = {
  prompt: "canary-prompt-71c4e",
  output: "canary-output-93b5a",
  key: "mlxd_canary-key-58d2f-0123456789012345678901234567890123456789",
  wrongKey: "mlxd_canary-wrong-key-47d1e-01234567890123456789012345678901",
  path: "canary-path-20ae6",
};

let folder: string;
let receiver: OtlpReceiver;
let service: RunningService;
let answered = "";
const messages: string[] = [];
const auditFile = () => join(folder, "audit.jsonl");

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), `${canaries.path}-`));
  const models = join(folder, "models");
  cpSync(fileURLToPath(new URL("../../models/demo", import.meta.url)), join(models, "demo"), { recursive: true });
  for (const [name, config] of [
    ["broken", "{"],
    ["strange", '{"model_type": "none"}'],
  ] as const) {
    mkdirSync(join(models, name));
    writeFileSync(join(models, name, "config.json"), config);
    writeFileSync(join(models, name, "model.safetensors"), canaries.prompt);
  }
  writeFileSync(
    join(folder, "mlxd.yaml"),
    JSON.stringify({
      service: { models: "models", audit_log: "audit.jsonl" },
      access: {
        tenants: {
          acme: {
            roles: ["inference", "models", "jobs", "admin"],
            keys: [{ id: "all", hash: keyHash(canaries.key) }],
            limits: { tokens_per_minute: 100_000 },
          },
          poor: { roles: ["jobs"], keys: [{ id: "poor", hash: keyHash(`${canaries.key}-2`) }] },
        },
      },
    }),
  );
  receiver = await startOtlpReceiver();
  service = await startService({
    MLXD_CONFIG: join(folder, "mlxd.yaml"),
    MLXD_TRACE_ENDPOINT: receiver.url,
    MLXD_LOG_LEVEL: "Trace",
    MLXD_LOG_FORMAT: "json",
    MLXD_OFFLINE: "true",
  });
}, 300_000);
afterAll(async () => {
  await service.stop();
  await receiver[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const showing =
  (key: string | undefined): Interceptor =>
  (next) =>
  (call) => {
    if (key !== undefined) call.header.set("authorization", `Bearer ${key}`);
    return next(call);
  };
const transports = (key: string | undefined) => {
  const options = { baseUrl: service.url, interceptors: [showing(key)] };
  return [createGrpcTransport(options), createConnectTransport({ ...options, httpVersion: "1.1" })] as const;
};

/** All that a caller is told by an error, details in their bytes included. */
const note = (error: unknown): void => {
  const { message, details, metadata } = ConnectError.from(error);
  const told = details.map((detail) => ("value" in detail ? JSON.stringify(detail) : ""));
  const bytes = details.map((detail) =>
    "value" in detail && detail.value instanceof Uint8Array ? Buffer.from(detail.value).toString("latin1") : "",
  );
  messages.push(message, ...told, ...bytes, JSON.stringify([...metadata]));
};

/** Calls an RPC as its client would; of a stream without an end the first message is enough. */
const call = async (
  client: Client<(typeof apiServices)[number]>,
  method: (typeof apiServices)[number]["methods"][number],
  json: JsonObject,
): Promise<void> => {
  const signal = AbortSignal.timeout(120_000);
  try {
    const run = Reflect.get(client, method.localName) as (message: unknown, options: object) => unknown;
    const message = fromJson(method.input, json);
    if (method.methodKind === "unary") answered += JSON.stringify(await run(message, { signal }), bigints);
    else {
      for await (const part of run(message, { signal }) as AsyncIterable<unknown>) {
        answered += JSON.stringify(part, bigints);
        if (method.name.startsWith("Watch")) break;
      }
    }
  } catch (error) {
    note(error);
  }
};
const bigints = (_key: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);

const { prompt, output } = canaries;
const chat = { messages: [{ role: "ROLE_USER", content: [{ text: prompt }] }] };
const regex = { regex: output };
/** Tasks that run, and tasks that fail in one stage after the other. */
const tasks: ReadonlyArray<JsonObject> = [
  { chat, constraint: regex },
  { prompt, stop: { maxOutputTokens: 8 }, output: { echoPrompt: true, promptLogprobs: true } },
  { prompt, constraint: { regex: "a(" } },
  { prompt, constraint: { jsonSchema: `{${prompt}` } },
  { prompt, constraint: { jsonSchema: '{"type": "none"}' } },
  { prompt, constraint: { grammar: 'root ::= "' } },
  { prompt, stop: { stopSequences: [prompt], maxOutputTokens: 1_000_000 } },
  { prompt: prompt.repeat(20_000) },
  { chat: { ...chat, tools: [{ name: "look", description: prompt, parametersJson: "{" }] } },
  { chat: { messages: [...chat.messages, { role: "ROLE_TOOL", toolCallId: "call_1", content: [{ text: prompt }] }] } },
  { chat: { ...chat, templateOptions: { enable_thinking: prompt } } },
  { tokens: { ids: [4_000_000_000] } },
  { model: "broken", prompt },
  { model: "strange", prompt },
  { model: "nobody", prompt },
  { prompt, adapter: "none" },
  { prompt, stop: { maxOutputTokens: 99_999 }, sampling: { candidateCount: 8 } },
];

describe("canaries", { timeout: 600_000 }, () => {
  it("go through every RPC, with texts wherever the API has any", async () => {
    for (const transport of transports(canaries.key)) {
      for (const api of apiServices) {
        const client = createClient(api, transport);
        for (const method of api.methods) {
          for (let variant = 0; variant < 6; variant++) {
            await call(client, method, filledMessage(method.input, prompt, variant));
          }
        }
      }
    }
  });

  it("go through generations that run and that fail", async () => {
    for (const transport of transports(canaries.key)) {
      const client = createClient(GenerationService, transport);
      const { generate, streamGenerate, batchGenerate } = GenerationService.method;
      for (const task of tasks) {
        await call(client, generate, { task });
        await call(client, streamGenerate, { task });
      }
      await call(client, batchGenerate, { items: tasks.map((task) => ({ task })) });
    }
    assert.include(answered, output);
    assert.include(answered, prompt);
  });

  it("go through callers that leave, deadlines, an engine that dies, and callers who may not", async () => {
    const [grpc] = transports(canaries.key);
    const client = createClient(GenerationService, grpc);
    const long = {
      task: { input: { case: "prompt", value: prompt }, stop: { ignoreEos: true, maxOutputTokens: 100 } },
    } as const;
    await client.generate(long, { timeoutMs: 1 }).catch(note);
    const leaving = new AbortController();
    for await (const _ of (async function* () {
      yield* client.streamGenerate(long, { signal: leaving.signal });
    })()) {
      leaving.abort();
      break;
    }
    const lost = client.streamGenerate(long)[Symbol.asyncIterator]();
    await lost.next().catch(note);
    for (const pid of service.workers()) process.kill(pid, "SIGKILL");
    for (let next = await lost.next().catch(note); next?.done === false; next = await lost.next().catch(note));
    for (const key of [canaries.wrongKey, undefined, `${canaries.key}-2`, "no key at all"]) {
      for (const transport of transports(key))
        await createClient(GenerationService, transport).generate(long).catch(note);
    }
    for (const body of [
      `{"task": {"prompt": ${prompt}}}`,
      `{"task": {"prompt": ["${prompt}"]}}`,
      `"${prompt}"`,
      prompt,
    ]) {
      const { body: answer } = await requestHttp1(service.port, {
        path: "/mlxd.v1.GenerationService/Generate",
        headers: { "content-type": "application/json", authorization: `Bearer ${canaries.key}` },
        body,
      });
      messages.push(answer.toString());
    }
  });

  it("are in no log, audit, metric, trace and message", async () => {
    const metrics = await requestHttp1(service.port, {
      method: "GET",
      path: "/metrics",
      headers: { authorization: `Bearer ${canaries.key}` },
    });
    assert.include(metrics.body.toString(), "mlxd_errors_total");
    await receiver.until(({ name }) => name.endsWith("/BatchGenerate"));
    await service.stop();
    const places = {
      log: service.log(),
      audit: readFileSync(auditFile(), "utf8"),
      metrics: metrics.body.toString(),
      traces: receiver.text(),
      messages: messages.join("\n"),
    };
    // That each was looked for where something is.
    for (const [place, text] of Object.entries(places)) assert.isAbove(text.length, 500, place);
    const found = Object.entries(places).flatMap(([place, text]) =>
      Object.entries(canaries).flatMap(([what, canary]) => {
        // Each place where it stands, by what is written before it.
        const parts = text.split(canary).slice(0, -1);
        return [...new Set(parts.map((before) => `${what} in ${place}: ${before.slice(-120)}`))].slice(0, 10);
      }),
    );
    assert.deepEqual(found, []);
  });
});
