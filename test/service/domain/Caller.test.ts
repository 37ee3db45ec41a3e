import { assert, describe, it } from "@effect/vitest";

import { anonymous, type Caller, mayManage, shareOf, withinTenant } from "../../../src/service/domain/Caller.ts";

const callerOf = (name: string, tenant: string, roles: Caller["roles"] = ["inference"]): Caller => ({
  name,
  tenant,
  roles,
  peer: "10.0.0.1:5",
});

describe("a caller", () => {
  it("manages its own, an operator all of its tenant, and nobody what is another tenant's", () => {
    const ann = callerOf("ann", "a");
    assert.isTrue(mayManage(ann, ann));
    assert.isFalse(mayManage(callerOf("bob", "a"), ann));
    assert.isTrue(mayManage(callerOf("bob", "a", ["admin"]), ann));
    assert.isFalse(mayManage(callerOf("ann", "b", ["inference", "admin"]), ann));
    assert.isTrue(mayManage(anonymous("10.0.0.2:7"), anonymous("10.0.0.1:5")));
  });

  it("takes turns by its connection, or by the fairness id that its task has", () => {
    assert.notEqual(shareOf(anonymous("10.0.0.1:5"), ""), shareOf(anonymous("10.0.0.1:6"), ""));
    assert.equal(shareOf(anonymous("10.0.0.1:5"), "user 7"), shareOf(anonymous("10.0.0.1:6"), "user 7"));
    assert.notEqual(shareOf(callerOf("ann", "a"), "user 7"), shareOf(callerOf("ann", "b"), "user 7"));
  });

  it("names things within its tenant", () => {
    assert.equal(withinTenant(anonymous(""), "chat"), "chat");
    const names = ["", "chat"].flatMap((name) =>
      ["", "a", "b"].map((tenant) => withinTenant(callerOf("x", tenant), name)),
    );
    assert.equal(new Set(names).size, names.length);
  });
});
