import { assert, describe, it } from "vitest";

import {
  mergeEntries,
  type RegisteredEntries,
  withEntry,
  withoutEntry,
} from "../../../src/service/config/registered-entries.ts";

const backend = (name: string, declaration?: object) =>
  ({ kind: "backend", name, declaration: { ...declaration } }) as const;

describe("registered entries", () => {
  it("are one for each kind and name, and backends are the same in any case", () => {
    let entries: RegisteredEntries = [];
    entries = withEntry(entries, backend("attic", { permits: 1 }));
    entries = withEntry(entries, { ...backend("attic"), kind: "model" });
    entries = withEntry(entries, backend(" Attic ", { permits: 2 }));
    assert.deepStrictEqual(
      entries.map(({ kind, declaration }) => [kind, declaration]),
      [
        ["model", {}],
        ["backend", { permits: 2 }],
      ],
    );
    assert.lengthOf(withoutEntry(entries, backend("ATTIC")), 1);
    assert.lengthOf(withoutEntry(entries, { kind: "model", name: "Attic" }), 2);
  });

  it("stand in the place of the file's, and remove them", () => {
    const file = { service: { port: 1 }, backends: { Attic: { engine: "ollama" }, other: { engine: "vllm" } } };
    const merged = mergeEntries(file, [
      backend("attic", { engine: "vllm" }),
      { kind: "backend", name: "other", declaration: undefined },
      { kind: "model", name: "m", declaration: { backend: "attic" } },
    ]);
    assert.deepStrictEqual(merged, {
      service: { port: 1 },
      backends: { attic: { engine: "vllm" } },
      models: { m: { backend: "attic" } },
    });
  });

  it("leave a file alone that is none, for the schema to refuse", () => {
    for (const value of [[], "text", { backends: [] }, { backends: "text" }]) {
      assert.strictEqual(mergeEntries(value, [backend("attic")]), value);
    }
  });

  it("may have names that objects have anyway", () => {
    const merged = mergeEntries({}, [{ kind: "model", name: "__proto__", declaration: { ttl: "1s" } }]);
    assert.deepStrictEqual(JSON.stringify(merged), '{"models":{"__proto__":{"ttl":"1s"}}}');
  });
});
