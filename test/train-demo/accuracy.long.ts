/** Every question of the card, asked of the service: what the card says is what is measured. */
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { skills } from "../../scripts/train-demo/curriculum.ts";
import { createMlxdClient, type MlxdClient } from "../../src/client/node.ts";
import { claims, countRight } from "../support/demo-accuracy.ts";
import { type RunningService, startService } from "../support/running-service.ts";

/** Answers may differ where two tokens are equally likely and kernels round differently. */
const leeway = 2;

let service: RunningService;
let client: MlxdClient;
beforeAll(async () => {
  service = await startService();
  client = createMlxdClient({ baseUrl: service.url });
});
afterAll(async () => {
  client.close();
  await service.stop();
});

describe("the demo model's card", () => {
  it.each(skills.map((skill) => [skill.title, skill] as const))(
    "tells what is measured of %s",
    async (title, skill) => {
      const claim = claims().get(title);
      assert.isDefined(claim);
      assert.approximately(await countRight(client, skill, claim.asked), claim.right, leeway);
    },
  );
});
