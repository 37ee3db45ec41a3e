/** A clock that is set back by an hour, and forward again, under a running service: libfaketime's, never the machine's. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { assert, it } from "vitest";

import { Health, HealthCheckResponse_ServingStatus as Status } from "../../src/client/gen/grpc/health/v1/health_pb.ts";
import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { ModelService } from "../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { ServerService } from "../../src/client/gen/mlxd/v1/server_service_pb.ts";
import { createMlxdClient } from "../../src/client/node.ts";
import { collect } from "../support/collect.ts";
import { startService } from "../support/running-service.ts";
import { debianFaketime } from "../support/tools.ts";
import { lookAtRest } from "./at-rest.ts";

it("a clock that is set back and forward ends no call or job, loses and unloads no engine and makes nobody wait", async (context) => {
  const faketime = await debianFaketime();
  if (typeof faketime === "string") return context.skip(faketime);
  const folder = mkdtempSync(join(tmpdir(), "mlxd-clock-"));
  const file = join(folder, "time");
  const set = (offset: string) => writeFileSync(file, `${offset}\n`);
  set("+0");
  const service = await startService({
    LD_PRELOAD: faketime.path,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: "1",
    // As a machine's own: what counts time without a date goes on.
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    MLXD_ENGINE_STALL_MS: "20000",
    MLXD_IDLE_TTL_MS: "3600000",
  });
  const transport = createGrpcTransport({ baseUrl: service.url });
  const generation = createClient(GenerationService, transport);
  const models = createClient(ModelService, transport);
  const server = createClient(ServerService, transport);
  const client = createMlxdClient({ baseUrl: service.url });
  const items = Array.from({ length: 8 }, (_, index) => ({ input: `${index},`, maxOutputTokens: 8, ignoreEos: true }));
  const task = (maxOutputTokens: number) => ({
    input: { case: "prompt" as const, value: "1 2 3" },
    stop: { ignoreEos: true, maxOutputTokens },
    scheduling: { maxQueueWait: { seconds: 120n } },
  });
  const startedAt = async () => (await server.getServerInfo({})).startedAt?.seconds ?? 0n;
  try {
    await generation.generate({ task: task(4) });
    // The first job opens the store.
    await collect(client.jobs.results((await client.jobs.create(items)).jobId));
    const rest = await lookAtRest(service);
    const engines = service.workers();
    for (const offset of ["-1h", "+0", "+2h", "-1d", "+0"]) {
      // One call and a job run over the change, the next calls begin after it.
      const over = generation.generate({ task: task(200) }, { timeoutMs: 110_000 });
      const { jobId } = await client.jobs.create(items, { maxParallel: 1, expiresAfterMs: 7 * 86_400_000 });
      set(offset);
      const results = await Promise.all([
        over,
        ...Array.from({ length: 4 }, () => generation.generate({ task: task(8) })),
      ]);
      const outcomes = await collect(client.jobs.results(jobId));
      assert.deepEqual(
        outcomes.map(({ index, error }) => [index, error]),
        items.map((_, index) => [index, undefined]),
        offset,
      );
      for (const { result } of results) {
        const finished = result?.candidates[0];
        assert.isDefined(finished, offset);
        for (const duration of Object.values(result?.timings ?? {})) {
          if (typeof duration === "object" && duration !== null && "seconds" in duration) {
            assert.isAtLeast(Number(duration.seconds), 0, `${offset}: a time below 0`);
          }
        }
      }
      const { status } = await createClient(Health, transport).check({ service: "models/demo" });
      assert.equal(status, Status.SERVING, offset);
      // It begins anew to see how long the model has been idle.
      await models.pinModel({ model: "demo", pinned: false });
    }
    assert.deepEqual(service.workers(), engines, "an engine was replaced");
    assert.isAbove(Number(await startedAt()), 0);
    const { total } = await server.getStats({});
    assert.equal(total?.failed, 0);
    assert.equal(total?.cancelled, 0);
    await rest.isBack();
    assert.equal(await service.stop(), 0);
  } finally {
    client.close();
    await service.stop();
    rmSync(folder, { recursive: true });
  }
}, 600_000);
