import { assert, describe, it } from "vitest";

import { RoleMissing } from "../../../../src/service/domain/errors.ts";

describe("RoleMissing", () => {
  it("tells what would be enough, and what there is", () => {
    const message = (roles: string[]) => new RoleMissing({ tenant: "a", needed: ["models", "admin"], roles }).message;
    assert.equal(message(["jobs"]), 'this takes the role models or admin; tenant "a" has the role jobs here');
    assert.equal(message([]), 'this takes the role models or admin; tenant "a" has no role here');
  });
});
