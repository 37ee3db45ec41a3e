import { assert, describe, it } from "vitest";

import { Ledger, type Occupant, type OccupantResident } from "../../../../src/service/models/memory/Ledger.ts";
import type { Resident } from "../../../../src/service/models/memory/plan-room.ts";

/** One that is idle since `lastUsedAt`, unless `use` says otherwise. */
const occupant = (id: string, use: Resident["use"], { lastUsedAt = 0, isUnused = true } = {}): Occupant => ({
  id,
  residence: () => ({ use, lastUsedAt, loadedAt: lastUsedAt, priority: 0 }),
  isUnused: () => isUnused,
  makeWay: () => {},
  stay: () => {},
});

const idsOf = (residents: ReadonlyArray<OccupantResident>) => residents.map(({ occupant: { id } }) => id);

const ledgerOf = (...occupants: ReadonlyArray<Occupant>) => {
  const ledger = new Ledger();
  for (const one of occupants) ledger.reserve(one, 10);
  return ledger;
};

describe("the ledger of the memory budget", () => {
  it("counts what was reserved, or what a process takes if that is more", () => {
    const a = occupant("a", "idle");
    const ledger = ledgerOf(a);
    assert.equal(ledger.bytesOf(a), 10);
    assert.isFalse(ledger.measure(a, 9), "it takes no more of the budget");
    assert.isTrue(ledger.measure(a, 12));
    assert.equal(ledger.bytesOf(a), 12);
    assert.deepInclude(ledger.outgrown(a), { reservedBytes: 10, measuredBytes: 12 });
    assert.isTrue(ledger.raise(a, 15));
    assert.isTrue(ledger.raise(a, 5), "and less is not reserved by it");
    assert.equal(ledger.bytesOf(a), 15);
    assert.isUndefined(ledger.outgrown(a));
    ledger.release(a);
    assert.equal(ledger.bytesOf(a), 0);
    assert.isFalse(ledger.measure(a, 99));
    assert.isFalse(ledger.raise(a, 99));
    assert.isFalse(ledger.has(a));
  });

  it("tells two occupants of one id apart", () => {
    const [old, now] = [occupant("a", "leaving"), occupant("a", "idle")];
    const ledger = ledgerOf(old, now);
    ledger.release(old);
    assert.isTrue(ledger.has(now));
    assert.deepEqual(idsOf(ledger.residents()), ["a"]);
    assert.deepEqual(idsOf(ledger.residents(now)), []);
  });

  it("is over its limits by what stays, not by what is leaving", () => {
    const ledger = ledgerOf(occupant("a", "leaving"), occupant("b", "busy"));
    assert.isFalse(ledger.exceeds({ maxLoaded: 1, budgetBytes: 10 }));
    assert.isTrue(ledger.exceeds({ maxLoaded: 1, budgetBytes: 9 }));
    assert.isTrue(ledger.exceeds({ maxLoaded: 0, budgetBytes: 10 }));
  });

  it("gives up the models that were used least recently, as many as it takes", () => {
    const ledger = ledgerOf(
      occupant("a", "idle", { lastUsedAt: 3 }),
      occupant("b", "idle", { lastUsedAt: 1 }),
      occupant("c", "idle", { lastUsedAt: 2 }),
    );
    assert.deepEqual(idsOf(ledger.surplus({ maxLoaded: 3, budgetBytes: 30 })), []);
    assert.deepEqual(idsOf(ledger.surplus({ maxLoaded: 3, budgetBytes: 29 })), ["b"]);
    assert.deepEqual(idsOf(ledger.surplus({ maxLoaded: 1, budgetBytes: 30 })), ["b", "c"]);
  });

  it("gives up idle models before those in use, and those only when they are idle", () => {
    const ledger = ledgerOf(occupant("busy", "busy"), occupant("idle", "idle"), occupant("pinned", "pinned"));
    const two = { maxLoaded: 2, budgetBytes: 30 };
    assert.deepEqual([ledger.surplus(two), ledger.surplusInUse(two)].map(idsOf), [["idle"], []]);
    const one = { maxLoaded: 1, budgetBytes: 30 };
    assert.deepEqual([ledger.surplus(one), ledger.surplusInUse(one)].map(idsOf), [["idle"], ["busy"]]);
    // What is pinned is too much by itself.
    const none = { maxLoaded: 4, budgetBytes: 9 };
    assert.deepEqual([ledger.surplus(none), ledger.surplusInUse(none)].map(idsOf), [["idle"], ["busy"]]);
  });

  it("gives up a pinned model that has outgrown its reservation, where nobody uses it", () => {
    for (const isUnused of [true, false]) {
      const pinned = occupant("pinned", "pinned", { isUnused });
      const ledger = ledgerOf(pinned);
      const limits = { maxLoaded: 1, budgetBytes: 11 };
      ledger.measure(pinned, 11);
      assert.deepEqual(idsOf(ledger.surplus(limits)), []);
      ledger.measure(pinned, 12);
      assert.deepEqual(idsOf(ledger.surplus(limits)), isUnused ? ["pinned"] : []);
    }
  });
});
