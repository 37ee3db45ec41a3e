/** What is written of administrative calls. */
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { CacheService } from "../../../src/client/gen/mlxd/v1/cache_service_pb.ts";
import { ModelService } from "../../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { ServerService } from "../../../src/client/gen/mlxd/v1/server_service_pb.ts";
import { apiKey, storedKey } from "../../support/api-key.ts";
import { collect } from "../../support/collect.ts";
import { startTestServer, type TestServer, type TestServerOptions } from "../../support/test-server.ts";
import { errorOf } from "../../support/wire-error.ts";

const access: NonNullable<TestServerOptions["access"]> = {
  tenants: {
    ops: { roles: ["models", "admin"], keys: [storedKey("o")] },
    acme: { roles: ["inference"], keys: [storedKey("a")] },
  },
};
const as =
  (id: string): Interceptor =>
  (next) =>
  (call) => {
    call.header.set("authorization", `Bearer ${apiKey(id)}`);
    return next(call);
  };
const transport = ({ url }: TestServer, id: string) => createGrpcTransport({ baseUrl: url, interceptors: [as(id)] });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-audit-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Line {
  readonly time: string;
  readonly tenant: string;
  readonly credential: string;
  readonly peer: string;
  readonly method: string;
  readonly model?: string;
  readonly outcome: string;
  readonly requestId: string;
}
const linesOf = (file: string): ReadonlyArray<Line> =>
  readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line): Line => JSON.parse(line));

describe("the audit", () => {
  it("has a line for each administrative call of a known caller, and for nothing else", async () => {
    const file = join(folder, "audit.jsonl");
    const server = await startTestServer({ access, config: { auditLog: file } });
    const models = createClient(ModelService, transport(server, "o"));
    await errorOf(models.pinModel({ model: "demo" }));
    await errorOf(models.loadModel({ model: "none\nof /etc/secret/these" }));
    await collect(models.preloadModels({ models: ["demo", "other"] }));
    const caches = createClient(CacheService, transport(server, "o"));
    await errorOf(caches.removeCachedModel({ key: "local_mlx:demo" }));
    await errorOf(caches.clearPrefixCaches({ model: "demo" }));
    await errorOf(caches.resizeCache({ maxCacheSize: 1 }));
    await createClient(ServerService, transport(server, "o")).getStats({});
    await errorOf(createClient(ModelService, transport(server, "a")).unloadModel({ model: "demo" }));
    await errorOf(createClient(ModelService, transport(server, "nobody")).unloadModel({ model: "demo" }));
    await createClient(ModelService, transport(server, "a")).listModels({});
    await server.close();
    const lines = linesOf(file);
    assert.deepEqual(
      lines.map(({ tenant, method, model, outcome }) => [tenant, method.split("/")[1], model, outcome]),
      [
        ["ops", "PinModel", "demo", lines[0]?.outcome],
        ["ops", "LoadModel", "none?of <path>", lines[1]?.outcome],
        ["ops", "PreloadModels", "demo, other", "OK"],
        ["ops", "RemoveCachedModel", "local_mlx:demo", lines[3]?.outcome],
        ["ops", "ClearPrefixCaches", "demo", lines[4]?.outcome],
        ["ops", "ResizeCache", undefined, lines[5]?.outcome],
        ["ops", "GetStats", undefined, "OK"],
        ["acme", "UnloadModel", undefined, "ROLE_MISSING"],
      ],
    );
    assert.equal(lines[0]?.credential, "key o");
    assert.match(lines[0]?.peer ?? "", /^127\.0\.0\.1:\d+$/);
    assert.isNotEmpty(lines[0]?.requestId);
    assert.isTrue(Number.isFinite(Date.parse(lines[0]?.time ?? "")));
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });

  it("goes on in a new file where the one before is moved away", async () => {
    const file = join(folder, "rotated.jsonl");
    const server = await startTestServer({ access, config: { auditLog: file } });
    const stats = createClient(ServerService, transport(server, "o"));
    await stats.getStats({});
    while (readFileSync(file, "utf8") === "") await new Promise((resolve) => setTimeout(resolve, 5));
    renameSync(file, `${file}.1`);
    await stats.getStats({});
    await server.close();
    assert.lengthOf(linesOf(file), 1);
    assert.lengthOf(linesOf(`${file}.1`), 1);
  });

  it.each(["none is named", "it is gone"])("is in the log where there is no file, as %s", async (why) => {
    const apart = mkdtempSync(join(folder, "apart-"));
    const auditLog = why === "it is gone" ? join(apart, "audit.jsonl") : undefined;
    const server = await startTestServer({ access, config: { auditLog } });
    rmSync(apart, { recursive: true });
    await createClient(ServerService, transport(server, "o")).getStats({});
    await server.close();
    const line = server.log.find(({ text }) => text.startsWith("administrative call"));
    assert.deepInclude(line?.annotations, { tenant: "ops", outcome: "OK", credential: "key o" });
  });

  it("keeps the service from starting where its file cannot be written at all", async () => {
    const error = await startTestServer({ config: { auditLog: join(folder, "none", "audit.jsonl") } }).then(
      () => assert.fail("it started"),
      (reason: unknown) => reason,
    );
    assert.include(String(error), "MLXD_AUDIT_LOG: the file cannot be written (ENOENT)");
  });
});
