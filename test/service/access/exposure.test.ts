import { assert, describe, it } from "vitest";

import { exposureOf, InsecureBind, warningsOf } from "../../../src/service/access/exposure.ts";
import type { TlsSettings } from "../../../src/service/config/tls-settings.ts";

const tls: TlsSettings = {
  certificateFile: "a",
  keyFile: "b",
  clientAuthorityFile: undefined,
  requiresClientCertificate: false,
};
const cleartext = (host: string) => ({ host, socket: undefined, tls: undefined, metrics: "on" as const });

describe("exposureOf", () => {
  it.each(["127.0.0.1", "127.8.9.1", "::1", "localhost"])("says nothing of %s", (host) => {
    assert.isUndefined(exposureOf(cleartext(host), false));
  });

  it.each(["0.0.0.0", "::", "192.168.1.7", "::ffff:10.0.0.1", "127.1", "mac-mini.local"])("tells of %s", (host) => {
    assert.equal(
      exposureOf(cleartext(host), false),
      `the service listens on ${host}, beyond this machine, without TLS and keys`,
    );
  });

  it("says nothing of a Unix socket, whatever the host", () => {
    assert.isUndefined(exposureOf({ ...cleartext("0.0.0.0"), socket: "/run/mlxd.sock" }, false));
  });

  it("tells what is lacking", () => {
    assert.match(exposureOf({ ...cleartext("::"), tls }, false) ?? "", /without keys$/);
    assert.match(exposureOf(cleartext("::"), true) ?? "", /without TLS$/);
    assert.isUndefined(exposureOf({ ...cleartext("::"), tls }, true));
  });

  it("says what to do", () => {
    const { message } = new InsecureBind({ exposure: "it listens" });
    assert.match(message, /^it listens\. Set MLXD_TLS_CERT .* or set MLXD_INSECURE_BIND=true/);
  });
});

describe("warningsOf", () => {
  it("tells of metrics that have a port of their own beyond this machine", () => {
    assert.deepEqual(warningsOf({ host: "::", socket: undefined, tls, metrics: 9090 }, true), [
      "port 9090 gives metrics to whoever reaches ::, without TLS and keys",
    ]);
    assert.deepEqual(warningsOf({ host: "::1", socket: undefined, tls, metrics: 9090 }, true), []);
  });
});
