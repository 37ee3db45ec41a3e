import { assert, describe, it } from "@effect/vitest";
import { Result } from "effect";

import { checkRepository, checkRevision, folderOf } from "../../../../src/service/models/names/repository.ts";

const refusalOf = <A>(result: Result.Result<A, { readonly message: string }>): string | undefined =>
  Result.isFailure(result) ? result.failure.message : undefined;

describe("checkRepository", () => {
  it.each(["mlx-community/Qwen3-8B-4bit", "a/b", "org_1/model.v2", `org/${"x".repeat(92)}`])(
    "takes %s",
    (repository) => {
      assert.deepEqual(checkRepository(repository), Result.succeed(repository));
    },
  );

  it.each<[string, RegExp]>([
    ["demo", /with one slash/],
    ["a/b/c", /with one slash/],
    ["", /with one slash/],
    ["../etc", /letters, digits/],
    ["a/..", /letters, digits/],
    ["a/.git", /letters, digits/],
    ["-a/b", /letters, digits/],
    ["a/b-", /letters, digits/],
    ["a/b c", /letters, digits/],
    ["a/한글", /letters, digits/],
    ["a--b/c", /no -- and no \.\./],
    ["a/b..c", /no -- and no \.\./],
    ["a/b.git", /does not end with \.git/],
    [`org/${"x".repeat(93)}`, /it has 97 characters; a repository's name has 96 at most/],
  ])("refuses %j", (repository, problem) => {
    assert.match(refusalOf(checkRepository(repository)) ?? "", problem);
  });

  it("repeats a long name in part", () => {
    const refusal = refusalOf(checkRepository("x".repeat(10_000))) ?? "";
    assert.include(refusal, `"${"x".repeat(64)}…" cannot be downloaded`);
    assert.isBelow(refusal.length, 300);
  });
});

describe("checkRevision", () => {
  it.each(["main", "v1.0", "refs/pr/7", "0123456789abcdef0123456789abcdef01234567", "a"])("takes %s", (revision) => {
    assert.deepEqual(checkRevision(revision), Result.succeed(revision));
  });

  it.each(["", "a..b", "a//b", "-a", "a/", "a b", "../main", "x".repeat(257)])("refuses %j", (revision) => {
    assert.match(refusalOf(checkRevision(revision)) ?? "", /a revision is a branch, a tag or a commit/);
  });
});

it("names the folder of a repository's model so that its name leads back to it", () => {
  assert.equal(folderOf("mlx-community/Qwen3-8B-4bit"), "mlx-community--Qwen3-8B-4bit");
});
