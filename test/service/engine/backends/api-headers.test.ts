import { Redacted } from "effect";
import { assert, it } from "vitest";

import { apiHeaders } from "../../../../src/service/engine/backends/api-headers.ts";

it("a backend's key is where its API has it, and nowhere without one", () => {
  const apiKey = Redacted.make("sk-1");
  assert.strictEqual(apiHeaders({ engine: "vllm", apiKey })["authorization"], "Bearer sk-1");
  const anthropic = apiHeaders({ engine: "anthropic", apiKey });
  assert.deepInclude(anthropic, { "x-api-key": "sk-1", "anthropic-version": "2023-06-01" });
  assert.notProperty(anthropic, "authorization");
  for (const engine of ["vllm", "anthropic"] as const) {
    const names = Object.keys(apiHeaders({ engine, apiKey: undefined }));
    assert.notIncludeMembers(names, ["authorization", "x-api-key"]);
    assert.include(names, "user-agent");
  }
});
