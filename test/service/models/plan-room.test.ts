import fc from "fast-check";
import { assert, describe, it } from "vitest";

import { hasRoom, planRoom, type Resident, type RoomLimits } from "../../../src/service/models/plan-room.ts";

const resident = fc.record({
  bytes: fc.integer({ min: 1, max: 50 }),
  use: fc.constantFrom("leaving" as const, "idle" as const, "busy" as const, "pinned" as const),
  lastUsedAt: fc.integer({ min: 0, max: 20 }),
  loadedAt: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constant(Infinity)),
});
const residents = fc
  .array(resident, { maxLength: 7 })
  .map((all) => all.map((each, index): Resident => ({ ...each, id: `m${index}` })));
const limits: fc.Arbitrary<RoomLimits> = fc.record({
  maxLoaded: fc.integer({ min: 1, max: 6 }),
  budgetBytes: fc.integer({ min: 1, max: 150 }),
});
const cases = [residents, fc.integer({ min: 1, max: 80 }), limits] as const;

const without = (all: ReadonlyArray<Resident>, gone: ReadonlyArray<string>) =>
  all.filter(({ id, use }) => use !== "leaving" && !gone.includes(id));

const check = (property: (all: ReadonlyArray<Resident>, needed: number, limits: RoomLimits) => void) =>
  fc.assert(fc.property(...cases, property), { numRuns: 2000 });

describe("a plan for room", () => {
  it("makes room enough when it is carried out, and is there unless pinned models leave none", () => {
    check((all, needed, bounds) => {
      const plan = planRoom(all, needed, bounds);
      const pinned = all.filter(({ use }) => use === "pinned");
      assert.equal(plan === undefined, !hasRoom(pinned, needed, bounds));
      if (plan !== undefined) {
        assert.isTrue(hasRoom(without(all, [...plan.evict, ...plan.waitFor]), needed, bounds));
      }
    });
  });

  it("names idle models to evict and busy ones to wait for, and no other", () => {
    check((all, needed, bounds) => {
      const plan = planRoom(all, needed, bounds);
      const useOf = new Map(all.map(({ id, use }) => [id, use]));
      assert.isTrue((plan?.evict ?? []).every((id) => useOf.get(id) === "idle"));
      assert.isTrue((plan?.waitFor ?? []).every((id) => useOf.get(id) === "busy"));
    });
  });

  it("takes none that could stay", () => {
    check((all, needed, bounds) => {
      const plan = planRoom(all, needed, bounds);
      const going = [...(plan?.evict ?? []), ...(plan?.waitFor ?? [])];
      for (const id of going) {
        const others = going.filter((each) => each !== id);
        assert.isFalse(hasRoom(without(all, others), needed, bounds), `${id} could stay`);
      }
    });
  });

  it("waits for nobody where idle models are enough", () => {
    check((all, needed, bounds) => {
      const idle = all.filter(({ use }) => use === "idle").map(({ id }) => id);
      if (hasRoom(without(all, idle), needed, bounds)) assert.deepEqual(planRoom(all, needed, bounds)?.waitFor, []);
    });
  });

  it("lets models of one size go in the order of their last use", () => {
    check((all, needed, bounds) => {
      const alike = all.map((each) => ({ ...each, bytes: 10, use: "idle" as const }));
      const evicted = planRoom(alike, needed, bounds)?.evict ?? [];
      const usedAt = new Map(alike.map(({ id, lastUsedAt }) => [id, lastUsedAt]));
      const last = Math.max(-1, ...evicted.map((id) => usedAt.get(id) ?? 0));
      for (const { id, lastUsedAt } of alike) if (!evicted.includes(id)) assert.isAtLeast(lastUsedAt, last);
    });
  });
});
