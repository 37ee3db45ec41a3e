/** A caller sees the jobs of its own tenant, and of no other one that there are any. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Stream } from "effect";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { createMlxdClient } from "../../../src/client/node.ts";
import { bearer, storedKey } from "../../support/api-key.ts";
import { collect } from "../../support/collect.ts";
import { mlxdErrorOf } from "../../support/error-of.ts";
import { eventsOf } from "../../support/scripted-generations.ts";
import { startTestServer, type TestServer } from "../../support/test-server.ts";

/** Only what hangs takes as long. */
describe("the jobs of two tenants", { timeout: 600_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), "mlxd-tenants-"));
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({
      jobs: { store: join(directory, "store") },
      stream: () => Stream.fromIterable(eventsOf(["yes"])),
      access: {
        tenants: {
          acme: { roles: ["jobs"], keys: [storedKey("acme")] },
          umbrella: { roles: ["jobs"], keys: [storedKey("umbrella")] },
          reader: { roles: ["inference"], keys: [storedKey("reader")] },
        },
      },
    });
  });
  afterAll(async () => {
    await server.close();
    rmSync(directory, { recursive: true });
  });

  const clientOf = (id: string) => createMlxdClient({ baseUrl: server.url, headers: bearer(id) });

  it("are apart: another's are not found by any call, and its request ids are its own", async () => {
    using acme = clientOf("acme");
    using umbrella = clientOf("umbrella");
    const tasks = [{ input: { prompt: "a" } }];
    const { jobId } = await acme.jobs.create(tasks, { requestId: "same" });
    const other = await umbrella.jobs.create([...tasks, ...tasks], { requestId: "same" });
    assert.notStrictEqual(other.jobId, jobId);
    const calls = [
      () => umbrella.jobs.get(jobId),
      () => umbrella.jobs.cancel(jobId),
      () => umbrella.jobs.delete(jobId),
      () => collect(umbrella.jobs.items(jobId)),
      () => collect(umbrella.jobs.results(jobId)),
      () => collect(umbrella.jobs.watch(jobId)),
    ];
    for (const call of calls) assert.strictEqual((await mlxdErrorOf(call())).reason, "JOB_NOT_FOUND");
    const listed = await collect(umbrella.jobs.list());
    assert.deepEqual(
      listed.map((job) => job.jobId),
      [other.jobId],
    );
    assert.lengthOf(await collect(acme.jobs.results(jobId)), 1);
  });

  it("take a role of their own", async () => {
    using reader = clientOf("reader");
    assert.strictEqual((await mlxdErrorOf(collect(reader.jobs.list()))).reason, "ROLE_MISSING");
  });
});
