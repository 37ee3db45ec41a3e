/** What is scraped of the real service, beside what it was asked and what GetStats says. */
import { readFileSync } from "node:fs";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest";

import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { Role } from "../../src/client/gen/mlxd/v1/types_pb.ts";
import { ServerService } from "../../src/client/gen/mlxd/v1/server_service_pb.ts";
import { type RunningService, startService } from "../support/running-service.ts";

describe("metrics of the running service", { timeout: 300_000 }, () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService({});
  }, 300_000);
  afterAll(() => service.stop());

  const transport = () => createGrpcTransport({ baseUrl: service.url });

  const scrape = async (): Promise<ReadonlyMap<string, number>> => {
    const text = await (await fetch(`${service.url}/metrics`)).text();
    const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(
      lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
    );
  };

  it("match a run, and GetStats", async () => {
    const client = createClient(GenerationService, transport());
    let promptTokens = 0;
    let outputTokens = 0;
    for (const text of ["What is 2+2?", "What is 3+4?", "Count from 1 to 5"]) {
      const task = {
        input: {
          case: "chat" as const,
          value: { messages: [{ role: Role.USER, content: [{ part: { case: "text" as const, value: text } }] }] },
        },
      };
      const { result } = await client.generate({ task });
      promptTokens += result?.usage?.promptTokens ?? 0;
      outputTokens += result?.usage?.outputTokens ?? 0;
    }
    await client.generate({ task: { model: "nobody", input: { case: "prompt", value: "x" } } }).then(
      () => assert.fail("it was answered"),
      () => {},
    );
    const metrics = await scrape();
    assert.strictEqual(metrics.get('mlxd_generations_total{model="demo",outcome="succeeded"}'), 3);
    assert.strictEqual(metrics.get('mlxd_generations_total{model="",outcome="refused"}'), 1);
    assert.strictEqual(metrics.get('mlxd_prompt_tokens_total{model="demo"}'), promptTokens);
    assert.strictEqual(metrics.get('mlxd_output_tokens_total{model="demo"}'), outputTokens);
    assert.strictEqual(metrics.get('mlxd_output_tokens_sum{model="demo"}'), outputTokens);
    for (const name of ["gen_ai_server_time_to_first_token_seconds", "mlxd_queue_time_seconds"]) {
      assert.strictEqual(metrics.get(`${name}_count{model="demo"}`), 3, name);
      assert.isAbove(metrics.get(`${name}_sum{model="demo"}`) ?? 0, 0, name);
    }
    assert.strictEqual(
      metrics.get('mlxd_errors_total{method="mlxd.v1.GenerationService/Generate",reason="MODEL_NOT_FOUND"}'),
      1,
    );
    // A step decodes one of them alone, and prefills of a prompt are steps as well.
    assert.strictEqual(
      metrics.get('mlxd_engine_batch_rows_sum{model="demo"}'),
      metrics.get('mlxd_engine_batch_rows_count{model="demo"}'),
    );
    const steps = metrics.get('mlxd_engine_step_seconds_count{model="demo"}') ?? 0;
    assert.isAbove(steps, metrics.get('mlxd_engine_batch_rows_count{model="demo"}') ?? 0);
    assert.strictEqual(metrics.get('mlxd_model_load_seconds_count{model="demo"}'), 1);
    assert.isAbove(metrics.get('mlxd_engine_active_bytes{model="demo"}') ?? 0, 1_000_000);
    assert.strictEqual(metrics.get("mlxd_serving"), 1);
    assert.strictEqual(metrics.get('mlxd_model_serving{model="demo"}'), 1);
    const stats = await createClient(ServerService, transport()).getStats({});
    assert.strictEqual(metrics.get("mlxd_model_loads_total"), stats.pool?.loads);
    assert.strictEqual(metrics.get("mlxd_memory_budget_bytes"), stats.pool?.budgetBytes);
    assert.strictEqual(metrics.get('mlxd_prefix_cache_bytes{model="demo"}'), stats.models[0]?.prefixCacheBytes);
  });

  it("have no more series after names, methods and headers that somebody made up", async () => {
    const series = async () => (await scrape()).size;
    const generation = createClient(GenerationService, transport());
    const post = (path: string, type: string) =>
      fetch(`${service.url}${path}`, { method: "POST", headers: { "content-type": type }, body: "{}" });
    const invent = async (name: string) => {
      const task = {
        model: name,
        adapter: name,
        labels: { [name]: name },
        input: { case: "prompt", value: "x" },
      } as const;
      await generation.generate({ task }).catch(() => {});
      await post(`/mlxd.v1.GenerationService/${name}`, "application/json");
      await post(`/${name}.Service/Generate`, "application/grpc");
      await post("/mlxd.v1.GenerationService/Generate", `application/${name}`);
      await fetch(`${service.url}/mlxd.v1.GenerationService/Generate`, {
        method: "POST",
        body: name,
        headers: { "content-type": "application/json" },
      });
    };
    await invent("first");
    const before = await series();
    for (let index = 0; index < 50; index++) await invent(`made-up-${index}`);
    assert.strictEqual(await series(), before);
    const told = [...(await scrape()).keys()].join("\n");
    assert.notInclude(told, "made-up");
  });

  it("are all told of in their page, and none that is not there", async () => {
    const text = await (await fetch(`${service.url}/metrics`)).text();
    const served = [...text.matchAll(/^# TYPE (\S+) (\w+)$/gm)].flatMap(([, name = "", type = ""]) =>
      /^(mlxd_|gen_ai_)/.test(name) ? [`${name} ${type}`] : [],
    );
    const page = readFileSync("docs/metrics.md", "utf8");
    const told = [...page.matchAll(/^\| `([^`]+)` +\| (\w+)/gm)].map(([, name, type]) => `${name} ${type}`);
    assert.sameMembers(told, served);
  });
});
