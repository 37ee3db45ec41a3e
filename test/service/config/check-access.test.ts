/** The section `access` of mlxd.yaml: what it may say, and what names file, line and key instead. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { readConfigFile } from "../../../src/service/config/config-file.ts";
import { ConfigurationInvalid } from "../../../src/service/domain/errors.ts";
import { apiKey, keyHash } from "../../support/api-key.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-access-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const hash = keyHash(apiKey("a"));
const read = (tenants: string) => {
  const path = join(folder, "mlxd.yaml");
  writeFileSync(path, `access:\n  tenants:\n${tenants.replaceAll(/\bHASH\b/g, hash)}\n`);
  return readConfigFile(path, { KEY_HASH: hash }).access;
};
const refusal = (tenants: string): string => {
  try {
    read(tenants);
  } catch (error) {
    assert.instanceOf(error, ConfigurationInvalid);
    return error.message.replace(`${folder}/`, "");
  }
  return assert.fail("was read");
};

describe("the section access", () => {
  it("names tenants with keys, certificates and roles", () => {
    const acme =
      "{ roles: [inference], keys: [{ id: ci, hash: '${KEY_HASH}', expires: 2027-01-31 }], certificates: [CN:ci] }";
    assert.deepEqual(read(`    acme: ${acme}`), {
      tenants: {
        acme: { roles: ["inference"], keys: [{ id: "ci", hash, expires: "2027-01-31" }], certificates: ["CN:ci"] },
      },
    });
  });

  it.each([
    ["{ roles: [operator] }", "access.tenants.acme.roles[0]"],
    ["{}", "access.tenants.acme.roles"],
    ["{ roles: [], keys: [{ id: ci, hash: mlxd_secret }] }", 'the hash of a key is "sha256:" and 64'],
    ["{ roles: [], keys: [{ id: ci, hash: HASH, expires: tomorrow }] }", "a time is a date"],
    ["{ roles: [], keys: [{ id: ci, hash: HASH, expires: 2027-13-31 }] }", "a time is a date"],
    ["{ roles: [], keys: [{ id: ci, hash: HASH }, { id: ci, hash: HASH }] }", 'there are two keys "ci"'],
    ["{ roles: [], keys: [{ id: a, hash: HASH }, { id: b, hash: HASH }] }", `the key is tenant "acme"'s already`],
    ["{ roles: [], certificates: [ci] }", "a certificate is named by CN:NAME, DNS:NAME or URI:NAME"],
    ["{ roles: [], models: ['qwen*3'] }", 'or by the beginning of ids and a star, as in "qwen3-*"'],
    ["{ roles: [], limits: { tokens_per_minute: 0 } }", "access.tenants.acme.limits.tokens_per_minute"],
    ["{ roles: [], limits: { priority: { min: 5, max: 1 } } }", "min is 5, which is over max, 1"],
    ["{ roles: [], limits: { priority: { min: -1001, max: 1 } } }", "access.tenants.acme.limits.priority.min"],
    ["{ roles: [], role: [] }", "there is no such key; roles?"],
    [
      "{ roles: [], certificates: [CN:a] }\n    other: { roles: [], certificates: [CN:a] }",
      `the certificate is tenant "acme"'s already`,
    ],
  ])("refuses %s", (acme, problem) => {
    const message = refusal(`    acme: ${acme}`);
    assert.match(message, /^mlxd\.yaml:[34]: access\.tenants\./);
    assert.include(message, problem);
  });

  it("does not repeat a key that stands where its hash should", () => {
    assert.notInclude(refusal("    acme: { roles: [], keys: [{ id: ci, hash: mlxd_secret }] }"), "mlxd_secret");
    assert.notInclude(refusal("    acme: { roles: [], keys: [mlxd_secret] }"), "mlxd_secret");
  });

  it("refuses a tenant's name that could not stand in a log", () => {
    assert.include(refusal('    "a b": { roles: [] }'), "a tenant's name begins with a letter or digit");
    assert.include(refusal(`    ${"a".repeat(65)}: { roles: [] }`), "access.tenants");
  });
});

describe("access.jwt", () => {
  const readJwt = (jwt: string) => {
    const path = join(folder, "mlxd.yaml");
    writeFileSync(path, `access:\n  jwt: ${jwt}\n  tenants: {}\n`);
    return readConfigFile(path, {}).access?.jwt;
  };
  const problemOf = (jwt: string): string => {
    try {
      readJwt(jwt);
    } catch (error) {
      return String(error);
    }
    return assert.fail("was read");
  };

  it.each(["jwks.json", "/etc/jwks.json", "https://id.example/jwks", "http://127.0.0.1:8080/jwks"])(
    "reads %s",
    (jwks) => {
      assert.deepEqual(readJwt(`{ issuer: a, audience: [b], jwks: "${jwks}" }`), {
        issuer: "a",
        audience: ["b"],
        jwks,
      });
    },
  );

  it.each([
    ["{ audience: b, jwks: c }", "access.jwt.issuer"],
    ["{ issuer: a, jwks: c }", "access.jwt.audience"],
    ["{ issuer: a, audience: b }", "access.jwt.jwks"],
    ["{ issuer: a, audience: b, jwks: 'http://id.example/jwks' }", "keys are read from a file, from https://"],
    [
      "{ issuer: a, audience: b, jwks: 'http://localhost.evil.example/jwks' }",
      "keys are read from a file, from https://",
    ],
    ["{ issuer: a, audience: b, jwks: 'ftp://id.example/jwks' }", "keys are read from a file, from https://"],
    ["{ issuer: a, audience: b, jwks: c, algorithms: [HS256] }", "access.jwt.algorithms[0]"],
    ["{ issuer: a, audience: b, jwks: c, algorithms: [none] }", "access.jwt.algorithms[0]"],
    ["{ issuer: a, audience: b, jwks: c, algorithms: [] }", "access.jwt.algorithms"],
  ])("refuses %s", (jwt, problem) => assert.include(problemOf(jwt), problem));
});
