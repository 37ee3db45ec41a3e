/** An origin with a slash behind it was taken, and never matched: pages were refused without a word about why. */
import { assert, describe, it } from "@effect/vitest";
import { ConfigProvider, Effect } from "effect";

import { serverSettings } from "../../../src/service/config/ServerConfig.ts";
import { settingProblem } from "../../../src/service/config/settings.ts";

describe("MLXD_CORS_ORIGINS", () => {
  it.each([
    "*",
    "null",
    "https://app.example.com",
    "http://localhost:3000, https://app.example.com",
    "http://127.0.0.1:8080",
    "http://[::1]:8080",
    "chrome-extension://abcdefghijklmnop",
    "capacitor://localhost",
  ])("takes %s", (text) => {
    assert.isUndefined(settingProblem("MLXD_CORS_ORIGINS", text));
  });

  it.each([
    ["https://app.example.com/", 'browsers send "https://app.example.com"'],
    ["https://a.example,https://App.Example.com", 'browsers send "https://app.example.com"'],
    ["https://app.example.com:443", 'browsers send "https://app.example.com"'],
    ["http://app.example.com:80", 'browsers send "http://app.example.com"'],
    ["https://app.example.com/page", 'browsers send "https://app.example.com"'],
    ["https://user@app.example.com", 'browsers send "https://app.example.com"'],
    ["https://bücher.example", 'browsers send "https://xn--bcher-kva.example"'],
    ["https://*.example.com", "a star stands alone"],
    ["app.example.com", "is no origin"],
    ["localhost:3000", "is no origin"],
    ["file:///tmp/page.html", "is no origin"],
    ["https://", "is no origin"],
  ])("refuses %s, which would match nothing", (text, problem) => {
    assert.include(settingProblem("MLXD_CORS_ORIGINS", text) ?? "", problem);
  });
});

describe("MLXD_CORS_HEADERS", () => {
  it.effect("is a list of names", () =>
    Effect.gen(function* () {
      const provider = ConfigProvider.fromUnknown({ MLXD_CORS_HEADERS: "X-Tenant, x-api-key" });
      assert.deepEqual((yield* serverSettings.parse(provider)).corsHeaders, ["X-Tenant", "x-api-key"]);
    }),
  );

  it.each(["*", "x tenant", "x-tenant:", "x-tenant;y"])("refuses %s", (text) => {
    assert.include(settingProblem("MLXD_CORS_HEADERS", text) ?? "", "is no header's name");
  });
});
