/** The long form of job-kills.test.ts. */
import { assert, describe, it } from "vitest";

import { tellFigures } from "./figures.ts";
import { killEmbedded } from "./job-kills.ts";

describe("a service that is killed 200 times while it runs jobs", () => {
  it("has one outcome of every item", { timeout: 90 * 60_000 }, async () => {
    const { lost, lives } = await killEmbedded(200);
    assert.isAbove(lost, 0);
    await tellFigures(
      "kill -9 of the service in jobs, embedded store",
      `200 times, 3000 items: one outcome each, as of an undisturbed run; ${lost} attempts lost and made again, by ${lives} lives of the service`,
    );
  });
});
