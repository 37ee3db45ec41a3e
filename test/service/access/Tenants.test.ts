import { Result } from "effect";
import { assert, describe, it } from "vitest";

import { type Evidence, Tenants } from "../../../src/service/access/Tenants.ts";
import { apiKey, keyHash, storedKey } from "../../support/api-key.ts";

const expired = { id: "old", hash: keyHash(apiKey("old")), expires: "2026-01-31" };
const tenants = new Tenants({
  tenants: {
    acme: { roles: ["inference"], keys: [storedKey("a"), storedKey("b"), expired], certificates: ["DNS:acme.example"] },
    operators: { roles: ["admin", "models"], keys: [storedKey("c")] },
  },
});
const day = 24 * 3_600_000;
const newYear = Date.parse("2026-01-01T00:00:00Z");

const identify = (shown: Partial<Evidence>, now = newYear + 60 * day) => {
  const evidence = { authorization: undefined, certificateNames: [], peer: "10.0.0.1:5", ...shown };
  return Result.match(tenants.identify(evidence, now), {
    onSuccess: ({ tenant, roles, credential = "" }) => `${tenant} with ${roles.join("+")} by ${credential}`,
    onFailure: ({ message }) => message,
  });
};
const byKey = (id: string, now?: number) => identify({ authorization: `Bearer ${apiKey(id)}` }, now);

describe("Tenants", () => {
  it("knows a tenant by each of its keys", () => {
    assert.equal(byKey("a"), "acme with inference by key a");
    assert.equal(byKey("b"), "acme with inference by key b");
    assert.equal(byKey("c"), "operators with admin+models by key c");
  });

  it("takes a key until the moment at which it expires", () => {
    const end = Date.parse("2026-01-31T00:00:00Z");
    assert.equal(byKey("old", end - 1), "acme with inference by key old");
    assert.equal(byKey("old", end), 'the API key "old" of tenant "acme" expired at 2026-01-31T00:00:00.000Z');
  });

  it.each([
    ["a key of nobody", { authorization: `Bearer ${apiKey("z")}` }, "nobody has this API key"],
    ["the beginning of a key", { authorization: `Bearer ${apiKey("a").slice(0, -1)}` }, "nobody has this API key"],
    ["the hash of a key", { authorization: `Bearer ${keyHash(apiKey("a")).slice(7)}` }, "nobody has this API key"],
    ["another scheme", { authorization: "Basic YWNtZTpi" }, 'the header authorization is not "Bearer KEY"'],
    ["an empty header", { authorization: "" }, 'the header authorization is not "Bearer KEY"'],
    ["two keys", { authorization: "Bearer a, Bearer b" }, 'the header authorization is not "Bearer KEY"'],
    ["nothing", {}, 'this service asks who calls: send "authorization: Bearer KEY"'],
    ["an unknown certificate", { certificateNames: ["CN:eve"] }, "the client certificate names no tenant"],
  ])("refuses %s", (_what, shown, message) => {
    assert.equal(identify(shown), message);
  });

  it("reads the scheme in any case, as HTTP has it", () => {
    assert.equal(identify({ authorization: `bearer  ${apiKey("a")} ` }), "acme with inference by key a");
  });

  it("knows a tenant by a name of its certificate", () => {
    const certificateNames = ["CN:x", "DNS:acme.example"];
    assert.equal(identify({ certificateNames }), "acme with inference by certificate DNS:acme.example");
  });

  it("does not look at a certificate where a wrong key is shown", () => {
    const shown = { authorization: `Bearer ${apiKey("z")}`, certificateNames: ["DNS:acme.example"] };
    assert.equal(identify(shown), "nobody has this API key");
  });
});
