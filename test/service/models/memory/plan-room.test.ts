import fc from "fast-check";
import { assert, describe, it } from "vitest";

import { hasRoom, planRoom, type Resident, type RoomLimits } from "../../../../src/service/models/memory/plan-room.ts";

interface Named extends Resident {
  readonly id: string;
}

const resident = fc.record({
  bytes: fc.integer({ min: 1, max: 50 }),
  use: fc.constantFrom("leaving" as const, "idle" as const, "busy" as const, "pinned" as const),
  lastUsedAt: fc.integer({ min: 0, max: 20 }),
  loadedAt: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constant(Infinity)),
  priority: fc.integer({ min: -1, max: 1 }),
});
const residents = fc
  .array(resident, { maxLength: 7 })
  .map((all) => all.map((each, index): Named => ({ ...each, id: `m${index}` })));
const limits: fc.Arbitrary<RoomLimits> = fc.record({
  maxLoaded: fc.integer({ min: 1, max: 6 }),
  budgetBytes: fc.integer({ min: 1, max: 150 }),
});
const cases = [residents, fc.integer({ min: 1, max: 80 }), limits] as const;

/** By their ids. */
const plan = (all: ReadonlyArray<Named>, needed: number, bounds: RoomLimits) => {
  const made = planRoom(all, needed, bounds);
  return made && { evict: made.evict.map(({ id }) => id), waitFor: made.waitFor.map(({ id }) => id) };
};

const without = (all: ReadonlyArray<Named>, gone: ReadonlyArray<string>) =>
  all.filter(({ id, use }) => use !== "leaving" && !gone.includes(id));

const check = (property: (all: ReadonlyArray<Named>, needed: number, limits: RoomLimits) => void) =>
  fc.assert(fc.property(...cases, property), { numRuns: 2000 });

describe("a plan for room", () => {
  it("makes room enough when it is carried out, and is there unless pinned models leave none", () => {
    check((all, needed, bounds) => {
      const made = plan(all, needed, bounds);
      const pinned = all.filter(({ use }) => use === "pinned");
      assert.equal(made === undefined, !hasRoom(pinned, needed, bounds));
      if (made !== undefined) {
        assert.isTrue(hasRoom(without(all, [...made.evict, ...made.waitFor]), needed, bounds));
      }
    });
  });

  it("names idle models to evict and busy ones to wait for, and no other", () => {
    check((all, needed, bounds) => {
      const made = plan(all, needed, bounds);
      const useOf = new Map(all.map(({ id, use }) => [id, use]));
      assert.isTrue((made?.evict ?? []).every((id) => useOf.get(id) === "idle"));
      assert.isTrue((made?.waitFor ?? []).every((id) => useOf.get(id) === "busy"));
    });
  });

  it("takes none that could stay", () => {
    check((all, needed, bounds) => {
      const made = plan(all, needed, bounds);
      const going = [...(made?.evict ?? []), ...(made?.waitFor ?? [])];
      for (const id of going) {
        const others = going.filter((each) => each !== id);
        assert.isFalse(hasRoom(without(all, others), needed, bounds), `${id} could stay`);
      }
    });
  });

  it("waits for nobody where idle models are enough", () => {
    check((all, needed, bounds) => {
      const idle = all.filter(({ use }) => use === "idle").map(({ id }) => id);
      if (hasRoom(without(all, idle), needed, bounds)) assert.deepEqual(plan(all, needed, bounds)?.waitFor, []);
    });
  });

  it("lets models of one size go by priority, then in the order of their last use", () => {
    check((all, needed, bounds) => {
      const alike = all.map((each) => ({ ...each, bytes: 10, use: "idle" as const }));
      const evicted = plan(alike, needed, bounds)?.evict ?? [];
      const stays = alike.filter(({ id }) => !evicted.includes(id));
      for (const gone of alike.filter(({ id }) => evicted.includes(id))) {
        for (const { priority, lastUsedAt } of stays) {
          assert.isAtMost(gone.priority, priority);
          if (gone.priority === priority) assert.isAtMost(gone.lastUsedAt, lastUsedAt);
        }
      }
    });
  });
});
