import { assert, describe, it } from "@effect/vitest";
import { ConfigProvider, Effect } from "effect";

import { catalogKeys, keyRefusal } from "../../../src/service/config/catalog-keys.ts";

const read = (text: string) => catalogKeys.parse(ConfigProvider.fromUnknown({ MLXD_CATALOG_KEYS: text }));

describe("the keys that registered entries may name", () => {
  it.effect("are listed by the operator, each with the one host that it goes to", () =>
    Effect.gen(function* () {
      const keys = yield* read("ATTIC_KEY@attic.local:8000, CELLAR@Cellar");
      assert.deepStrictEqual(keys, [
        { variable: "ATTIC_KEY", host: "attic.local:8000" },
        { variable: "CELLAR", host: "cellar" },
      ]);
      assert.deepStrictEqual(yield* read("V6@[::1]:8000"), [{ variable: "V6", host: "[::1]:8000" }]);
      for (const bad of ["ATTIC_KEY", "@attic", "A B@attic", "A@http://attic", "A@attic/v1", "A@u:p@attic"]) {
        assert.strictEqual((yield* Effect.exit(read(bad)))._tag, "Failure", bad);
      }
    }),
  );

  it("go nowhere else", () => {
    const allowed = [{ variable: "ATTIC_KEY", host: "attic:8000" }];
    const refusalOf = (declaration: Readonly<Record<string, unknown>>, providerKey?: string) =>
      keyRefusal(declaration, allowed, providerKey);
    assert.isUndefined(refusalOf({ base_url: "http://attic:8000/v1" }));
    assert.isUndefined(refusalOf({ api_key_variable: "ATTIC_KEY", base_url: "http://ATTIC:8000/v1" }));
    assert.isUndefined(refusalOf({ api_key_variable: "OPENAI_API_KEY" }, "OPENAI_API_KEY"));
    for (const declaration of [
      { api_key_variable: "ATTIC_KEY", base_url: "http://evil/v1" },
      { api_key_variable: "ATTIC_KEY", base_url: "http://attic:8001/v1" },
      { api_key_variable: "ATTIC_KEY", base_url: "http://attic:8000@evil/v1" },
      { api_key_variable: "ATTIC_KEY" },
      { api_key_variable: "PGPASSWORD", base_url: "http://attic:8000/v1" },
      { api_key_variable: "OPENAI_API_KEY", base_url: "http://attic:8000/v1" },
    ]) {
      assert.include(refusalOf(declaration, "OPENAI_API_KEY") ?? "", "MLXD_CATALOG_KEYS");
    }
  });
});
