import { assert, it } from "vitest";

import { backendStatuses } from "../../../src/service/server/backend-health.ts";

it("tells of each backend that a model is on, and that it does not serve where one of its models says so", () => {
  const statuses = backendStatuses(
    new Map([
      ["local", { state: "active", delivers: true }],
      ["a", { state: "active", delivers: false, backend: "attic" }],
      ["b", { state: "available", delivers: true, backend: "attic" }],
      ["c", { state: "available", delivers: true, backend: "cellar" }],
    ]),
  );
  assert.deepStrictEqual(
    [...statuses],
    [
      ["attic", "not-serving"],
      ["cellar", "serving"],
    ],
  );
});
