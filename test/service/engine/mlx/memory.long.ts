import { describe, it } from "@effect/vitest";

import { assertFlatMemory } from "./flat-memory.ts";

describe("an engine's memory", () => {
  it.live(
    "stays flat over 200,000 tokens in batches of 8, inside its cache budgets",
    () => assertFlatMemory({ total: 200_000, warmUp: 60_000 }),
    15 * 60_000,
  );
});
