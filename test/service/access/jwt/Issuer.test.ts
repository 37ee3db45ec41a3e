/** Tokens, against a real server of keys. */
import { base64url, SignJWT, UnsecuredJWT } from "jose";
import { assert, beforeAll, describe, it } from "vitest";

import { isToken } from "../../../../src/service/access/jwt/Issuer.ts";
import { openIssuer, told } from "../../../support/issuer.ts";
import { issuer, type IssuerKey, makeKey, startJwksServer } from "../../../support/jwks-server.ts";

let first: IssuerKey;
let second: IssuerKey;
beforeAll(async () => {
  [first, second] = await Promise.all([makeKey("first"), makeKey("second", "RS256")]);
}, 60_000);

const encoded = (part: object): string => base64url.encode(JSON.stringify(part));

describe("a token", () => {
  it("names its tenant and its roles", async () => {
    await using server = await startJwksServer(first, second);
    const plain = await openIssuer(server.url);
    assert.deepEqual(await told(plain, await first.sign()), { tenant: "acme", roles: undefined, subject: "someone" });
    assert.deepInclude(await told(plain, await second.sign({ aud: ["other", "mlxd"] })), { tenant: "acme" });
    const roles = await openIssuer(server.url, { roles_claim: "realm.roles", tenant_claim: "https://x.example/org" });
    const claims = { tenant: undefined, "https://x.example/org": "beta", realm: { roles: ["admin", "king"] } };
    assert.deepInclude(await told(roles, await first.sign(claims)), { tenant: "beta", roles: ["admin"] });
    const scope = await openIssuer(server.url, { roles_claim: "scope" });
    assert.deepInclude(await told(scope, await first.sign({ scope: "jobs inference" })), {
      roles: ["inference", "jobs"],
    });
    assert.deepInclude(await told(scope, await first.sign()), { roles: [] });
  });

  it.each<[string, Record<string, unknown>, string]>([
    ["of another issuer", { iss: "https://evil.example" }, "the token's claim iss does not say what it has to"],
    ["for somebody else", { aud: "other" }, "the token's claim aud does not say what it has to"],
    ["for nobody", { aud: undefined }, "the token lacks the claim aud"],
    ["that has expired", { exp: 1_000_000 }, "the token has expired"],
    ["without an end", { exp: undefined }, "the token lacks the claim exp"],
    ["that does not count yet", { nbf: 99_999_999_999 }, "the token's claim nbf does not say what it has to"],
    ["without a tenant", { tenant: undefined }, "the token has no claim tenant with a tenant"],
    ["with a tenant that is no text", { tenant: { a: 1 } }, "the token has no claim tenant with a tenant"],
  ])("%s is refused", async (_name, claims, expected) => {
    await using server = await startJwksServer(first);
    assert.equal(await told(await openIssuer(server.url), await first.sign(claims)), expected);
  });

  it("that somebody else has signed, changed or not signed at all is refused", async () => {
    await using server = await startJwksServer(first);
    const own = await openIssuer(server.url);
    const stranger = await makeKey("first");
    assert.equal(await told(own, await stranger.sign()), "the token's signature is not right");
    const [header = "", payload = "", signature = ""] = (await first.sign()).split(".");
    const raised = encoded({ ...JSON.parse(Buffer.from(payload, "base64url").toString()), tenant: "root" });
    assert.equal(await told(own, `${header}.${raised}.${signature}`), "the token's signature is not right");
    const unsigned = new UnsecuredJWT({ tenant: "acme" }).setIssuer(issuer).setAudience("mlxd").setExpirationTime("5m");
    assert.isTrue(isToken(unsigned.encode()));
    const notAllowed = "the token is signed with an algorithm that does not count here";
    assert.equal(await told(own, unsigned.encode()), notAllowed);
    // The public key is known to all: as a secret of HMAC it must not count.
    const secret = new TextEncoder().encode(JSON.stringify(first.publicJwk));
    const forged = await new SignJWT({ tenant: "acme" })
      .setProtectedHeader({ alg: "HS256", kid: "first" })
      .setIssuer(issuer)
      .setAudience("mlxd")
      .setExpirationTime("5m")
      .sign(secret);
    assert.equal(await told(own, forged), notAllowed);
    // Its own key must not come with it.
    const evil = await makeKey("evil");
    const brought = encoded({ alg: "ES256", jwk: evil.publicJwk, jku: "http://127.0.0.1:1/" });
    const [, evilPayload, evilSignature] = (await evil.sign()).split(".");
    assert.equal(await told(own, `${brought}.${evilPayload}.${evilSignature}`), "the token's signature is not right");
    const critical = encoded({ alg: "ES256", kid: "first", crit: ["x"], x: 1 });
    assert.equal(
      await told(own, `${critical}.${payload}.${signature}`),
      "the issuer has no key that the token could be signed with",
    );
  });

  it("signed with an algorithm that is not on the list is refused", async () => {
    await using server = await startJwksServer(first, second);
    const own = await openIssuer(server.url, { algorithms: ["ES256"] });
    assert.deepInclude(await told(own, await first.sign()), { tenant: "acme" });
    assert.equal(
      await told(own, await second.sign()),
      "the token is signed with an algorithm that does not count here",
    );
  });

  it("without a key id is tried with the keys that fit it", async () => {
    const other = await makeKey("other");
    await using server = await startJwksServer(other, first);
    const own = await openIssuer(server.url);
    assert.deepInclude(await told(own, await first.sign({}, { kid: undefined })), { tenant: "acme" });
    const stranger = await makeKey("stranger");
    assert.equal(await told(own, await stranger.sign({}, { kid: undefined })), "the token's signature is not right");
  });

  it("that is too large is not looked at", async () => {
    await using server = await startJwksServer(first);
    const own = await openIssuer(server.url);
    const large = await first.sign({ pad: "x".repeat(20_000) });
    assert.equal(await told(own, large), "the token has more than 16384 bytes");
  });
});
