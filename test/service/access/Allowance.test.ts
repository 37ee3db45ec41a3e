import { Result } from "effect";
import { assert, describe, it } from "vitest";

import { Allowance } from "../../../src/service/access/Allowance.ts";
import { Quotas } from "../../../src/service/access/Quotas.ts";
import type { LimitsDeclaration } from "../../../src/service/config/access-schema.ts";

const limited = (limits: LimitsDeclaration) => new Allowance("acme", new Quotas(), { limits });
const of = (models: ReadonlyArray<string>) => new Allowance("acme", new Quotas(), { models });
const valueOf = <A>(result: Result.Result<A, Error>) =>
  Result.isSuccess(result) ? result.success : result.failure.message;

describe("an allowance", () => {
  it("of nobody has no bounds", () => {
    const all = new Allowance("", new Quotas(), undefined);
    assert.isTrue(all.mayUse("anything"));
    assert.equal(all.callsAtOnce, Infinity);
    assert.equal(all.defaultOutput(1_000_000, 8), Infinity);
    assert.equal(valueOf(all.priority(1000)), 1000);
    assert.isUndefined(valueOf(all.priority(undefined)));
    assert.deepEqual(all.headers, {});
    assert.equal(all.longestPrompt, Infinity);
    assert.isTrue(Result.isSuccess(all.begin({ spendsTokens: true })) && Result.isSuccess(all.count(1000)));
  });

  it.each<[LimitsDeclaration, number]>([
    [{ max_prompt_tokens: 10 }, 10],
    [{ tokens_per_minute: 20 }, 20],
    [{ tokens_per_minute: 20, max_prompt_tokens: 10 }, 10],
    [{ tokens_per_minute: 20, max_prompt_tokens: 30 }, 20],
  ])("of %o has prompts of %i tokens at most", (limits, most) => {
    assert.equal(limited(limits).longestPrompt, most);
  });

  it("names models by their ids and by beginnings", () => {
    const some = of(["demo", "qwen3-*"]);
    assert.deepEqual(
      ["demo", "qwen3-", "qwen3-4b", "demo2", "Demo", "qwen2", "my-qwen3-4b", "", "*"].filter((id) => some.mayUse(id)),
      ["demo", "qwen3-", "qwen3-4b"],
    );
    assert.isTrue(of(["*"]).mayUse("anything"));
    assert.isFalse(of([]).mayUse("demo"));
    assert.equal(valueOf(of([]).model("demo")), 'tenant "acme" may not use the model demo; it may use none');
  });

  it.each([
    [{ min: -100, max: -10 }, undefined, -10],
    [{ min: 5, max: 10 }, undefined, 5],
    [{ min: -5, max: 10 }, undefined, 0],
    [{ min: -5, max: 10 }, 10, 10],
    [{ min: -5, max: 10 }, -5, -5],
    [{ min: -5, max: 10 }, 11, 'tenant "acme" may not use the priority 11; it may use -5 to 10'],
    [{ min: 5, max: 10 }, 0, 'tenant "acme" may not use the priority 0; it may use 5 to 10'],
  ])("of priorities %o makes of %s: %s", (priority, asked, expected) => {
    assert.equal(valueOf(limited({ priority }).priority(asked)), expected);
  });

  it.each<[LimitsDeclaration, number, number, number]>([
    [{ max_output_tokens: 100 }, 50, 1, 100],
    [{ tokens_per_minute: 100 }, 50, 1, 50],
    [{ tokens_per_minute: 100 }, 50, 3, 16],
    [{ tokens_per_minute: 100, max_output_tokens: 10 }, 50, 1, 10],
    // There is no room, which is for the one who takes the tokens to say.
    [{ tokens_per_minute: 100 }, 200, 1, 1],
  ])(
    "of %o leaves a prompt of %i tokens, for %i answers, %i tokens of output each",
    (limits, prompt, answers, most) => {
      assert.equal(limited(limits).defaultOutput(prompt, answers), most);
    },
  );
});
