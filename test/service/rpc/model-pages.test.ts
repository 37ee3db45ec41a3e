import { Result } from "effect";
import { assert, describe, it } from "vitest";

import type { EngineName } from "../../../src/service/domain/engine-names.ts";
import type { ModelState } from "../../../src/service/domain/model.ts";
import { enginesOf, pageOf } from "../../../src/service/rpc/model-pages.ts";
import { modelStatus } from "../../support/listed-models.ts";

const all = ["a", "b", "c", "d", "e"].map((id) => modelStatus(id, { state: id === "c" ? "failed" : "active" }));
const everything: ReadonlySet<ModelState> = new Set();

const page = (
  pageSize: number,
  pageToken = "",
  states = everything,
  models = all,
  engines: ReadonlyArray<EngineName> = [],
) => {
  const result = pageOf(models, { pageSize, pageToken, states, engines: new Set(engines) });
  if (Result.isFailure(result)) throw result.failure;
  return { ids: result.success.models.map(({ facts }) => facts.id).join(""), next: result.success.nextPageToken };
};

const refusal = (pageToken: string, states = everything): string => {
  const result = pageOf(all, { pageSize: 2, pageToken, states, engines: new Set() });
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

  it("have the models of one engine alone where it is asked for, by any of its names", () => {
    const others = all.map((status, at) => ({
      ...status,
      facts: { ...status.facts, engine: at % 2 === 0 ? "mlx" : "llamacpp" },
    }));
    const asked = enginesOf([" Llama.cpp "]);
    const engines = Result.isSuccess(asked) ? [...asked.success] : [];
    assert.deepStrictEqual(engines, ["llamacpp"]);
    assert.strictEqual(page(9, "", everything, others, engines).ids, "bd");
    assert.strictEqual(page(9, "", everything, others, ["local_mlx", "llamacpp"]).ids, "abcde");
    assert.strictEqual(page(9, "", everything, others, ["openai"]).ids, "");
    const unknown = enginesOf(["ollama", "vlm"]);
    assert.match(
      Result.isFailure(unknown) ? unknown.failure.message : "",
      /engines\[1\]: "vlm" is not the name of an engine; there are local_mlx, ollama,/,
    );
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
    const gone = pageOf(all.slice(2), { pageSize: 2, pageToken: next, states: everything, engines: new Set() });
    assert.include(Result.isFailure(gone) && gone.failure.message, "is gone");
  });
});

it("a page size over the most is cut to it", () => {
  const many = Array.from({ length: 2500 }, (_, index) => modelStatus(`model-${index}`));
  for (const pageSize of [1000, 1001, 2 ** 32 - 1]) {
    const result = pageOf(many, { pageSize, pageToken: "", states: everything, engines: new Set() });
    assert.strictEqual(Result.isSuccess(result) && result.success.models.length, 1000);
  }
});
