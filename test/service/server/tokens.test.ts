/** Callers with tokens of an issuer, as they meet the service. */
import { Code, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { assert, describe, it } from "vitest";

import { GenerationService } from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { ModelService } from "../../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { apiKey, storedKey } from "../../support/api-key.ts";
import { issuer, makeKey, startJwksServer } from "../../support/jwks-server.ts";
import { startTestServer } from "../../support/test-server.ts";
import { detailsOf, errorOf } from "../../support/wire-error.ts";

const start = (jwks: string) =>
  startTestServer({
    access: {
      jwt: { issuer, audience: "mlxd", jwks, roles_claim: "roles" },
      tenants: {
        acme: { roles: ["inference", "models"], keys: [storedKey("a")], limits: { requests_per_minute: 3 } },
      },
    },
  });
const showing =
  (credential: string): Interceptor =>
  (next) =>
  (call) => {
    call.header.set("authorization", `Bearer ${credential}`);
    return next(call);
  };
const task = { task: { input: { case: "prompt" as const, value: "x" } } };

describe.each([
  ["gRPC", createGrpcTransport],
  [
    "Connect",
    (options: { baseUrl: string; interceptors: Interceptor[] }) =>
      createConnectTransport({ ...options, httpVersion: "1.1" }),
  ],
] as const)("over %s", (_name, createTransport) => {
  const transport = (url: string, credential: string) =>
    createTransport({ baseUrl: url, interceptors: [showing(credential)] });

  it("a token is its tenant, with its roles, its limits and no more than these", async () => {
    const key = await makeKey("k");
    await using jwks = await startJwksServer(key);
    await using server = await start(jwks.url);
    const token = await key.sign({ roles: ["inference", "admin"] });
    const generation = createClient(GenerationService, transport(server.url, token));
    let left = "none";
    await generation.generate(task, {
      onHeader: (header) => void (left = header.get("x-ratelimit-remaining-requests") ?? "none"),
    });
    assert.equal(left, "2");
    const models = await errorOf(
      createClient(ModelService, transport(server.url, token)).unloadModel({ model: "demo" }),
    );
    assert.equal(models.code, Code.PermissionDenied);
    assert.deepInclude(detailsOf(models).info?.metadata, { tenant: "acme", roles: "inference" });
    // Keys and tokens of a tenant count together.
    await createClient(GenerationService, transport(server.url, apiKey("a"))).generate(task);
    await generation.generate(task);
    assert.equal((await errorOf(generation.generate(task))).code, Code.ResourceExhausted);
  });

  it("a token that does not count is refused before the message is read", async () => {
    const key = await makeKey("k");
    await using jwks = await startJwksServer(key);
    await using server = await start(jwks.url);
    const refused = async (token: string) =>
      errorOf(createClient(GenerationService, transport(server.url, token)).generate(task));
    const expired = await refused(await key.sign({ roles: ["inference"], exp: 1000 }));
    assert.equal(expired.code, Code.Unauthenticated);
    assert.deepInclude(detailsOf(expired).info, { reason: "CREDENTIALS_INVALID" });
    assert.equal(expired.rawMessage, "the token has expired");
    const elsewhere = await refused(await key.sign({ roles: ["inference"], tenant: "other" }));
    assert.equal(elsewhere.rawMessage, "the token names a tenant that this service does not know");
  });

  it("a token that cannot be checked now is refused as retryable", async () => {
    const key = await makeKey("k");
    await using jwks = await startJwksServer(key);
    jwks.answer({ status: 503, body: "" });
    await using server = await start(jwks.url);
    const token = await key.sign({ roles: ["inference"] });
    const error = await errorOf(createClient(GenerationService, transport(server.url, token)).generate(task));
    assert.equal(error.code, Code.Unavailable);
    const { info, retry } = detailsOf(error);
    assert.equal(info?.reason, "CREDENTIALS_UNVERIFIABLE");
    assert.equal(retry?.retryDelay?.seconds, 5n);
  });
});
