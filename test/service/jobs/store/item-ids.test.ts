import { assert, describe, it } from "vitest";

import { InvalidField } from "../../../../src/service/domain/errors.ts";
import { assertNewIds } from "../../../../src/service/jobs/store/item-ids.ts";
import { errorOf } from "../../../support/error-of.ts";

/** A job whose items have these ids; empty: none was given. */
const append = (existing: ReadonlyArray<string>, added: ReadonlyArray<string>, place = 0): Promise<void> => {
  const query = (text: string, values: ReadonlyArray<unknown> = []) => {
    const asked = values[1] as ReadonlyArray<string | number>;
    const rows = existing.map((item_id, index) => ({ item_id, index }));
    return Promise.resolve(
      text.includes("item_id <> ''")
        ? rows.filter(({ item_id }) => item_id !== "" && asked.includes(item_id))
        : rows.filter(({ item_id, index }) => item_id === "" && asked.includes(index)),
    );
  };
  const items = added.map((itemId) => ({ itemId }));
  return assertNewIds({ query }, { id: "job", total: existing.length }, items, place);
};

describe("the ids of a job's items", () => {
  it.each([
    [[], ["a", "b", "", "4"]],
    [
      ["a", ""],
      ["b", "", "1.5", "-1", "01", "7"],
    ],
    [
      ["", "1"],
      ["2", ""],
    ],
  ])("%j and then %j differ", async (existing, added) => {
    await append(existing, added);
  });

  it.each([
    ["given twice at once", [], ["a", "", "a"], 'items[2].item_id: "a"'],
    ["given again later", ["a"], ["b", "a"], 'items[1].item_id: "a"'],
    ["that is the index of a later one without", [], ["1", ""], 'items[0].item_id: "1"'],
    ["that is the index of an earlier one without", [], ["", "0"], 'items[1].item_id: "0"'],
    ["that is the index of an earlier one of before", ["", ""], ["1"], 'items[0].item_id: "1"'],
    ["that was given before to another than this index", ["2", "a"], [""], 'items[0].item_id: "2"'],
  ])("are refused where there is one %s", async (_, existing, added, told) => {
    const error = await errorOf(append(existing, added));
    assert.instanceOf(error, InvalidField);
    assert.include(error.message, told);
  });

  it("are called after their place in the request, of which the job may have a part already", async () => {
    assert.include((await errorOf(append(["a"], ["a"], 3))).message, "items[3].item_id");
  });
});
