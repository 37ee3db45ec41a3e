/** TLS on the one port: both HTTPs by ALPN, files that change while calls run, and clients that show who they are. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { once } from "node:events";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { createMlxdClient, isMlxdError, type TlsOptions } from "../../../src/client/node.ts";
import type { AccessDeclaration } from "../../../src/service/config/access-schema.ts";
import type { TlsSettings } from "../../../src/service/config/tls-settings.ts";
import { apiKey, storedKey } from "../../support/api-key.ts";
import { createAuthority, type Identity, issue } from "../../support/certificates.ts";
import { startTestServer, type TestServer } from "../../support/test-server.ts";

let folder: string;
let authority: Identity | undefined;
let other: Identity | undefined;
let identity: Identity;
let renewed: Identity;
let ci: Identity;
let eve: Identity;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-tls-"));
  authority = await createAuthority(folder, "authority");
  other = await createAuthority(folder, "other");
  if (authority === undefined || other === undefined) return;
  identity = await issue(folder, authority, "server", "IP:127.0.0.1");
  renewed = await issue(folder, authority, "renewed", "IP:127.0.0.1");
  ci = await issue(folder, authority, "ci", "DNS:ci.example,URI:spiffe://example/ci");
  eve = await issue(folder, other, "eve", "DNS:ci.example");
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const read = ({ cert, key }: Identity): TlsOptions => ({ cert: readFileSync(cert), key: readFileSync(key) });
const ca = () => readFileSync(authority?.cert ?? "");
const settings = (changes: Partial<TlsSettings> = {}): TlsSettings => ({
  certificateFile: identity.cert,
  keyFile: identity.key,
  clientAuthorityFile: undefined,
  requiresClientCertificate: false,
  ...changes,
});

const acme: AccessDeclaration = {
  tenants: { acme: { roles: ["inference"], keys: [storedKey("a")], certificates: ["DNS:ci.example"] } },
};

/** What a connection agrees on with the server. */
const handshake = async ({ port }: TestServer, options: ConnectionOptions = {}) => {
  const socket = connectTls({ host: "127.0.0.1", port, ca: ca(), ...options });
  try {
    await once(socket, "secureConnect");
    return {
      alpn: socket.alpnProtocol,
      protocol: socket.getProtocol(),
      subject: socket.getPeerX509Certificate()?.subject,
    };
  } finally {
    socket.destroy();
  }
};

const reasonOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "answered",
    (error: unknown) => (isMlxdError(error) ? error.reason : String(error)),
  );

describe("TLS", () => {
  it("is spoken by every protocol on the one port", async (context) => {
    if (authority === undefined) return context.skip("openssl is missing or makes no certificate");
    await using server = await startTestServer({ config: { tls: settings() } });
    for (const protocol of ["grpc", "connect", "connect-http1"] as const) {
      using client = createMlxdClient({ baseUrl: server.url, protocol, tls: { ca: ca() } });
      assert.isNotEmpty((await client.generate("x")).text, protocol);
    }
    assert.equal((await handshake(server, { ALPNProtocols: ["h2", "http/1.1"] })).alpn, "h2");
    assert.equal((await handshake(server, { ALPNProtocols: ["http/1.1"] })).alpn, "http/1.1");
    assert.equal((await handshake(server, { maxVersion: "TLSv1.2" })).protocol, "TLSv1.2");
    const old = handshake(server, { maxVersion: "TLSv1.1", minVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" });
    assert.equal(await old.then(String, () => "refused"), "refused");
  });

  it("takes new files in without dropping a call, and stays with the ones before while they are broken", async (context) => {
    if (authority === undefined) return context.skip("openssl is missing or makes no certificate");
    const files = { cert: join(folder, "current.crt"), key: join(folder, "current.key") };
    const install = ({ cert, key }: Identity) => {
      copyFileSync(cert, files.cert);
      copyFileSync(key, files.key);
    };
    install(identity);
    await using server = await startTestServer({
      config: { tls: settings({ certificateFile: files.cert, keyFile: files.key }) },
    });
    using client = createMlxdClient({ baseUrl: server.url, tls: { ca: ca() } });
    await client.generate("x");
    const until = async (seen: () => boolean | Promise<boolean>) => {
      const giveUpAt = Date.now() + 60_000;
      while (!(await seen())) {
        if (Date.now() > giveUpAt) assert.fail("it was not seen in time");
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    const serves = async (name: string) => (await handshake(server)).subject === `CN=${name}`;
    writeFileSync(files.cert, "broken");
    await until(() => server.log.some(({ text }) => text.includes("the ones before stay: MLXD_TLS_CERT: ")));
    assert.isTrue(await serves("server"));
    install(renewed);
    await until(() => serves("renewed"));
    // Its connection is the one from before.
    assert.isNotEmpty((await client.generate("x")).text);
  }, 120_000);

  it.each([
    ["a missing file", { certificateFile: "/nowhere" }, "MLXD_TLS_CERT: the file cannot be read (ENOENT)"],
    ["no certificate", { certificateFile: "" }, "MLXD_TLS_CERT: is not set"],
    ["another certificate's key", { keyFile: "other.key" }, "MLXD_TLS_KEY: it is not the key of the certificate"],
  ])("keeps the service from starting with %s", async (_what, changes, message) => {
    if (authority === undefined) return;
    const keyFile = "keyFile" in changes ? { keyFile: join(folder, changes.keyFile) } : {};
    const started = startTestServer({ config: { tls: settings({ ...changes, ...keyFile }) } });
    assert.include(await started.then(String, String), message);
  });
});

describe("a client certificate", () => {
  it("names the tenant, where the authority stands for it", async (context) => {
    if (authority === undefined) return context.skip("openssl is missing or makes no certificate");
    const tls = settings({ clientAuthorityFile: authority.cert });
    await using server = await startTestServer({ config: { tls }, access: acme });
    const generate = async (options: TlsOptions, protocol: "grpc" | "connect-http1", credentials?: string) => {
      using client = createMlxdClient({
        baseUrl: server.url,
        protocol,
        tls: { ca: ca(), ...options },
        credentials,
        retry: false,
      });
      return await reasonOf(client.generate("x"));
    };
    for (const protocol of ["grpc", "connect-http1"] as const) {
      assert.equal(await generate(read(ci), protocol), "answered");
      assert.equal(await generate(read(eve), protocol), "CREDENTIALS_INVALID");
      assert.equal(await generate({}, protocol), "CREDENTIALS_INVALID");
      assert.equal(await generate({}, protocol, apiKey("a")), "answered");
      assert.equal(await generate(read(ci), protocol, apiKey("z")), "CREDENTIALS_INVALID");
    }
  });

  it("is asked of every connection where it is required", async (context) => {
    if (authority === undefined) return context.skip("openssl is missing or makes no certificate");
    const tls = settings({ clientAuthorityFile: authority.cert, requiresClientCertificate: true });
    await using server = await startTestServer({ config: { tls } });
    const generate = async (options: TlsOptions) => {
      using client = createMlxdClient({ baseUrl: server.url, tls: { ca: ca(), ...options }, retry: false });
      return await reasonOf(client.generate("x"));
    };
    assert.equal(await generate(read(ci)), "answered");
    assert.equal(await generate(read(eve)), "CONNECTION");
    assert.equal(await generate({}), "CONNECTION");
  });
});

describe("connections too many", () => {
  it("are closed before their handshake, and let in when others have closed", async (context) => {
    if (authority === undefined) return context.skip("openssl is missing or makes no certificate");
    await using server = await startTestServer({ config: { tls: settings(), maxConnections: 1 } });
    const first = connectTls({ host: "127.0.0.1", port: server.port, ca: ca() });
    await once(first, "secureConnect");
    for (let more = 0; more < 3; more++) {
      await handshake(server).then(
        () => assert.fail("was let in"),
        () => {},
      );
    }
    first.destroy();
    const giveUpAt = Date.now() + 60_000;
    for (;;) {
      const alpn = await handshake(server, { ALPNProtocols: ["h2"] }).then(
        (agreed) => agreed.alpn,
        () => undefined,
      );
      if (alpn === "h2") break;
      if (Date.now() > giveUpAt) assert.fail("nobody is let in any more");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
});
