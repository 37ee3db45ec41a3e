/** Two hosts on one Postgres, of which one or the other is killed sixty times. */
import { assert, describe, it } from "vitest";

import { startPostgres } from "../support/postgres.ts";
import { tellFigures } from "./figures.ts";
import { killHosts } from "./job-hosts.ts";

describe("two hosts on one Postgres", () => {
  it("have one outcome of every item, whatever is killed", { timeout: 90 * 60_000 }, async (context) => {
    const postgres = await startPostgres();
    if (typeof postgres === "string") return context.skip(postgres);
    await using _ = postgres;
    const { lost, lives } = await killHosts(postgres, 60);
    assert.isAbove(lost, 0);
    await tellFigures(
      "kill -9 of two hosts and their Postgres in jobs",
      `60 times, 2400 items: one outcome each, as of an undisturbed run; ${lost} attempts lost and made again, by ${lives} lives of hosts`,
    );
  });
});
