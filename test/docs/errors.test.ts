import { readFileSync } from "node:fs";
import { assert, describe, it } from "@effect/vitest";
import { Code } from "@connectrpc/connect";

import { ErrorReason } from "../../src/client/gen/mlxd/v1/error_details_pb.ts";
import { errorTable } from "../../src/service/rpc/error-table.ts";

const page = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
const documented = new Map(
  [...page.matchAll(/^\| `([A-Z_]+)`\s+\| ([A-Z_]+)/gm)].map(([, reason = "", code = ""]) => [reason, code]),
);

/** As gRPC spells it, e.g. `INVALID_ARGUMENT`. */
const nameOf = (code: Code): string =>
  (Code[code] ?? "").replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toUpperCase();

describe("docs/errors.md", () => {
  it("has every reason of the API and no other", () => {
    const reasons = Object.keys(ErrorReason).filter((key) => Number.isNaN(Number(key)) && key !== "UNSPECIFIED");
    assert.deepStrictEqual([...documented.keys()].toSorted(), reasons.toSorted());
  });

  it("gives each reason the code that the service gives it", () => {
    for (const { code, reason } of Object.values(errorTable)) assert.strictEqual(documented.get(reason), nameOf(code));
  });
});
