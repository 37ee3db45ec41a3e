/** The Node entry over TLS, with a certificate of the test's own. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { assert, describe, it } from "vitest";
import { ModelService } from "../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { isMlxdError } from "../../src/client/index.ts";
import { createMlxdClient } from "../../src/client/node.ts";

const createCertificate = async (): Promise<{ readonly key: Buffer; readonly cert: Buffer } | undefined> => {
  const folder = await mkdtemp(join(tmpdir(), "mlxd-tls-"));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const made = ["-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2"];
  try {
    await promisify(execFile)("openssl", ["req", "-x509", ...made, ...subject]);
    return { key: await readFile(key), cert: await readFile(cert) };
  } catch {
    return undefined;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

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
    if (!certificate) return context.skip("openssl is missing or makes no certificate");
    const server =
      protocol === "connect-http1"
        ? https.createServer(certificate, handler)
        : http2.createSecureServer(certificate, handler);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const baseUrl = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;

    const trusting = createMlxdClient({ baseUrl, protocol, tls: { ca: certificate.cert } });
    const wary = createMlxdClient({ baseUrl, protocol, retry: false });
    try {
      assert.equal((await trusting.listModels())[0]?.id, "demo");
      const error = await wary.listModels().catch((reason: unknown) => reason);
      assert(isMlxdError(error, "CONNECTION"), String(error));
      assert.include(error.message, "self-signed certificate");
    } finally {
      trusting.close();
      wary.close();
      server.close();
    }
  });
});
