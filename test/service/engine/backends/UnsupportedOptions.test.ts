import { assert, describe, it } from "vitest";

import { UnsupportedOptions } from "../../../../src/service/engine/backends/UnsupportedOptions.ts";

const create = () => {
  let now = 0;
  const options = new UnsupportedOptions(["chat.images"], () => now);
  return { options, pass: (ms: number) => void (now += ms) };
};
const minute = 60_000;

describe("the options that a model does not support", () => {
  it("are what its server told, and for ten minutes what it has refused", () => {
    const { options, pass } = create();
    options.learn({ option: "sampling.seed", reach: "model" });
    pass(10 * minute - 1);
    assert.deepStrictEqual([...options.refused], ["chat.images", "sampling.seed"]);
    pass(1);
    assert.deepStrictEqual([...options.refused], ["chat.images"]);
    assert.deepStrictEqual([...options.leftOut], ["chat.images"]);
  });

  it("may still be set where only the defaults exclude each other", () => {
    const { options } = create();
    options.learn({ option: "sampling.top_p", reach: "defaults" });
    assert.deepStrictEqual([...options.refused], ["chat.images"]);
    assert.deepStrictEqual([...options.leftOut], ["chat.images", "sampling.top_p"]);
  });

  it("stay refused where a weaker refusal follows", () => {
    const { options, pass } = create();
    options.learn({ option: "sampling.top_p", reach: "model" });
    pass(minute);
    options.learn({ option: "sampling.top_p", reach: "defaults" });
    assert.isTrue(options.refused.has("sampling.top_p"));
  });

  it("are not learned from what may be the words of a caller", () => {
    const { options } = create();
    options.learn({ option: "chat.tools", reach: "request" });
    assert.deepStrictEqual([...options.leftOut], ["chat.images"]);
  });
});
