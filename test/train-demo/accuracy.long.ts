/** Every question of the card, asked of the service: what the card says is what is measured. */
import { assert, describe, it } from "vitest";
import { skills } from "../../scripts/train-demo/curriculum.ts";
import { claims, countRight } from "../support/demo-accuracy.ts";
import { serveForTests } from "../support/served-client.ts";

/** Answers may differ where two tokens are equally likely and kernels round differently. */
const leeway = 2;

const served = serveForTests();

describe("the demo model's card", () => {
  it.each(skills.map((skill) => [skill.title, skill] as const))(
    "tells what is measured of %s",
    async (title, skill) => {
      const claim = claims().get(title);
      assert.isDefined(claim);
      assert.approximately(await countRight(served.client, skill, claim.asked), claim.right, leeway);
    },
  );
});
