/** The Node entry over TLS, with a certificate of the test's own. */
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { assert, describe, it } from "vitest";
import { ModelService } from "../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { isMlxdError } from "../../src/client/index.ts";
import { createMlxdClient } from "../../src/client/node.ts";
import { createCertificate, noCertificate } from "../support/certificate.ts";

const certificate = await createCertificate();

const handler = connectNodeAdapter({
  routes: ({ service }) => service(ModelService, { listModels: () => ({ models: [{ id: "demo" }] }) }),
});

describe.each(["grpc", "connect", "connect-http1"] as const)("%s over TLS", (protocol) => {
  it("to a port without TLS is told so", async () => {
    for (const server of [http.createServer(), http2.createServer()]) {
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const baseUrl = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const client = createMlxdClient({ baseUrl, protocol, retry: false });
      const error = await client.listModels().catch((reason: unknown) => reason);
      assert(isMlxdError(error, "CONNECTION"), String(error));
      assert.match(error.message, /^no TLS is spoken there: .*http:\/\/$/);
      client.close();
      server.close();
    }
  });

  it("trusts the authority that it was given, and no other", async (context) => {
    if (!certificate) return context.skip(noCertificate);
    const { key, cert } = certificate;
    const identity = { key, cert };
    const server =
      protocol === "connect-http1"
        ? https.createServer(identity, handler)
        : http2.createSecureServer(identity, handler);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const baseUrl = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;

    const trusting = createMlxdClient({ baseUrl, protocol, tls: { ca: certificate.ca } });
    const wary = createMlxdClient({ baseUrl, protocol, retry: false });
    try {
      assert.equal((await trusting.listModels())[0]?.id, "demo");
      const error = await wary.listModels().catch((reason: unknown) => reason);
      assert(isMlxdError(error, "CONNECTION"), String(error));
      assert.match(error.message, /unable to (verify|get).*certificate/);
    } finally {
      trusting.close();
      wary.close();
      server.close();
    }
  });
});
