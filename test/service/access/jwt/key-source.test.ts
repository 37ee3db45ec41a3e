/** Where keys come from, against a real server of keys and real files. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, beforeAll, describe, it } from "vitest";

import type { Issuer } from "../../../../src/service/access/jwt/Issuer.ts";
import { maxKeySetBytes } from "../../../../src/service/access/jwt/key-source.ts";
import { again, openIssuer, told } from "../../../support/issuer.ts";
import { type IssuerKey, keySetOf, makeKey, startJwksServer } from "../../../support/jwks-server.ts";

let first: IssuerKey;
let second: IssuerKey;
beforeAll(async () => {
  [first, second] = await Promise.all([makeKey("first"), makeKey("second", "RS256")]);
}, 60_000);

describe("keys from a URL", () => {
  it("are fetched once for many tokens, and tokens of unknown keys do not make more", async () => {
    await using server = await startJwksServer(first);
    const own = await openIssuer(server.url);
    const strangers = await Promise.all(["a", "b", "c"].map((kid) => makeKey(kid)));
    for (const key of [first, ...strangers, first]) await own.identify(await key.sign());
    assert.equal(server.requests(), 1);
    assert.equal(
      await told(own, await (await makeKey("new")).sign()),
      "the issuer has no key that the token could be signed with",
    );
  });

  it.each([
    ["the server refuses", { status: 500, body: "{}" }],
    ["the server sends another way", { status: 302, body: "" }],
    ["it is no JSON", { body: "<html>" }],
    ["it is no set of keys", { body: '{"keys": 1}' }],
    ["it never ends", { body: `{"keys": [], "x": "${"x".repeat(maxKeySetBytes)}"}` }],
  ])("that cannot be had, as %s, refuse tokens as retryable", async (_name, answer) => {
    await using server = await startJwksServer(first);
    server.answer(answer);
    const own = await openIssuer(server.url);
    assert.equal(await told(own, await first.sign()), again);
  });

  it("are waited for a bounded time, by those who start the service alone", async () => {
    await using server = await startJwksServer(first);
    server.answer({ body: "never" });
    const own = await openIssuer(server.url, {}, { timeoutMs: 50 });
    assert.equal(await told(own, await first.sign()), again);
  });

  it("are fetched when a token has a new one, and those that are gone count no more", async () => {
    await using server = await startJwksServer(first);
    const own = await openIssuer(server.url, {}, { cooldownMs: 0 });
    server.answer({ body: keySetOf(second) });
    assert.deepInclude(await told(own, await second.sign()), { tenant: "acme" });
    assert.isString(await told(own, await first.sign()));
  });

  it("are fetched again from time to time, and when the server comes back", async () => {
    await using server = await startJwksServer(first);
    server.answer({ status: 503, body: "" });
    const own = await openIssuer(server.url, {}, { retryMs: 20, refreshMs: 20 });
    assert.equal(await told(own, await first.sign()), again);
    const until = async (key: IssuerKey) => {
      const giveUpAt = Date.now() + 60_000;
      while (typeof (await told(own, await key.sign())) === "string") {
        if (Date.now() > giveUpAt) assert.fail("the keys were not fetched");
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
    server.answer({ body: keySetOf(first) });
    await until(first);
    server.answer({ body: keySetOf(second) });
    await until(second);
  }, 130_000);

  it("stay while the server is away, and not for ever", async () => {
    await using server = await startJwksServer(first);
    const own = await openIssuer(server.url, {}, { refreshMs: 10, retryMs: 10 });
    const stale = await openIssuer(server.url, {}, { maxStaleMs: 0 });
    server.answer({ status: 500, body: "" });
    const before = server.requests();
    while (server.requests() < before + 3) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.deepInclude(await told(own, await first.sign()), { tenant: "acme" });
    assert.equal(await told(stale, await first.sign()), again);
  }, 60_000);
});

describe("keys from a file", () => {
  const folder = mkdtempSync(join(tmpdir(), "mlxd-jwks-"));
  const file = join(folder, "jwks.json");
  const until = async (own: Issuer, key: IssuerKey, isKnown: boolean) => {
    const giveUpAt = Date.now() + 60_000;
    const token = await key.sign();
    while ((typeof (await told(own, token)) === "object") !== isKnown) {
      if (Date.now() > giveUpAt) assert.fail("the file was not taken in");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };

  it("are changed for others while the service runs, and stay where the new ones are broken", async () => {
    writeFileSync(file, keySetOf(first));
    const own = await openIssuer(file);
    await until(own, first, true);
    writeFileSync(file, keySetOf(second));
    await until(own, second, true);
    await until(own, first, false);
    writeFileSync(file, "{");
    await new Promise((resolve) => setTimeout(resolve, 2500));
    await until(own, second, true);
    rmSync(folder, { recursive: true });
  }, 130_000);

  it.each([
    ["that is not there", undefined, "it cannot be read (ENOENT)"],
    ["that is no JSON", "{", "it is no JSON"],
    ["that is no set", "[]", "it is no JSON Web Key Set"],
    ["that is too large", " ".repeat(maxKeySetBytes + 1), `the set of keys has more than ${maxKeySetBytes} bytes`],
  ])("%s keep the service from starting", async (_name, text, expected) => {
    const broken = join(mkdtempSync(join(tmpdir(), "mlxd-jwks-")), "jwks.json");
    if (text !== undefined) writeFileSync(broken, text);
    const error = await openIssuer(broken).then(
      () => assert.fail("it was taken"),
      (reason: unknown) => reason,
    );
    assert.include(String(error), expected);
  });
});
