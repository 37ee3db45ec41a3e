/** The card's numbers were only read from the card. Here a sample of its questions is asked. */
import { assert, describe, it } from "vitest";
import { skills } from "../../scripts/train-demo/curriculum.ts";
import { claims, countRight } from "../support/demo-accuracy.ts";
import { serveForTests } from "../support/served-client.ts";

const questions = 12;

const served = serveForTests();

/** The most misses of a sample that a rate explains with a chance of one in a thousand or more. */
const mostMisses = (rate: number): number => {
  let probability = (1 - rate) ** questions;
  let upTo = probability;
  let misses = 0;
  while (1 - upTo >= 0.001) {
    misses += 1;
    probability *= ((questions - misses + 1) / misses) * (rate / (1 - rate));
    upTo += probability;
  }
  return misses;
};

describe("the demo model, asked by a served.client,", () => {
  const total = { asked: 0, right: 0, claimed: 0 };

  it.each(skills.map((skill) => [skill.title, skill] as const))(
    "is as good as its card says at %s",
    async (title, skill) => {
      const claim = claims().get(title);
      assert.isDefined(claim);
      const rate = claim.right / claim.asked;
      const right = await countRight(served.client, skill, questions);
      assert.isAtLeast(right, questions - mostMisses(1 - rate), `of ${questions}, where the card has ${100 * rate} %`);
      total.asked += questions;
      total.right += right;
      total.claimed += rate * questions;
    },
  );

  it("is so over all skills, where chance evens out", () => {
    assert.isAbove(total.asked, 0);
    assert.isAtLeast(total.right / total.asked, total.claimed / total.asked - 0.03);
  });
});
