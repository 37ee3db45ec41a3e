import { describe, it } from "@effect/vitest";

import { assertFlatMemory } from "./flat-memory.ts";

describe("an engine's memory", () => {
  it.live(
    "stays flat over 100,000 tokens in batches of 8, inside its cache budgets",
    () => assertFlatMemory({ total: 100_000, warmUp: 60_000 }),
    300_000,
  );
});
