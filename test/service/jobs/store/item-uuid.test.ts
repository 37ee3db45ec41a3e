import { assert, describe, it } from "vitest";

import { itemUuid } from "../../../../src/service/jobs/store/item-uuid.ts";

describe("the id of an item", () => {
  it("is the UUID of version 5 of its index in the namespace of its job", () => {
    // As uuid.uuid5 of Python makes it.
    assert.strictEqual(itemUuid("6ba7b810-9dad-11d1-80b4-00c04fd430c8", 7), "a9f96b98-dd44-5216-ab0d-dbfc6b262edf");
  });
});
