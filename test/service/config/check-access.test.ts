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
