import { Result } from "effect";
import { assert, describe, it } from "vitest";

import type { ModelState } from "../../../src/service/domain/model.ts";
import { pageOf } from "../../../src/service/rpc/model-pages.ts";
import { modelStatus } from "../../support/listed-models.ts";

const all = ["a", "b", "c", "d", "e"].map((id) => modelStatus(id, { state: id === "c" ? "failed" : "active" }));
const everything: ReadonlySet<ModelState> = new Set();

const page = (pageSize: number, pageToken = "", states = everything, models = all) => {
  const result = pageOf(models, { pageSize, pageToken, states });
  if (Result.isFailure(result)) throw result.failure;
  return { ids: result.success.models.map(({ facts }) => facts.id).join(""), next: result.success.nextPageToken };
};

const refusal = (pageToken: string, states = everything): string => {
  const result = pageOf(all, { pageSize: 2, pageToken, states });
  if (Result.isSuccess(result)) throw new Error("not refused");
  return result.failure.message;
};

describe("pages", () => {
  it("join to the whole list", () => {
    const first = page(2);
    const second = page(2, first.next);
    const third = page(2, second.next);
    assert.deepStrictEqual([first.ids, second.ids, third.ids, third.next], ["ab", "cd", "e", ""]);
  });

  it("have a default size, and no token when they end with the list", () => {
    assert.deepStrictEqual(page(0), { ids: "abcde", next: "" });
    assert.deepStrictEqual(page(5), { ids: "abcde", next: "" });
  });

  it("count only what the filter leaves", () => {
    const states = new Set<ModelState>(["active"]);
    const first = page(2, "", states);
    assert.deepStrictEqual([first.ids, page(9, first.next, states).ids], ["ab", "de"]);
  });

  it("neither repeat nor skip models when others come", () => {
    const { next } = page(2);
    const grown = [modelStatus("0"), ...all.slice(0, 2), modelStatus("b2"), ...all.slice(2)];
    assert.strictEqual(page(9, next, everything, grown).ids, "b2cde");
  });

  it("refuse a token that is none, of another filter, or after a model that is gone", () => {
    const { next } = page(2);
    for (const token of ["nonsense", "e30", `${next}x`.slice(1)]) assert.include(refusal(token), "no token");
    assert.include(refusal(next, new Set(["failed"])), "other states");
    const gone = pageOf(all.slice(2), { pageSize: 2, pageToken: next, states: everything });
    assert.include(Result.isFailure(gone) && gone.failure.message, "is gone");
  });
});

it("a page size over the most is cut to it", () => {
  const many = Array.from({ length: 2500 }, (_, index) => modelStatus(`model-${index}`));
  for (const pageSize of [1000, 1001, 2 ** 32 - 1]) {
    const result = pageOf(many, { pageSize, pageToken: "", states: everything });
    assert.strictEqual(Result.isSuccess(result) && result.success.models.length, 1000);
  }
});
