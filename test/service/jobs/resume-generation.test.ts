import { assert, describe, it } from "vitest";

import type { GenerationEvent } from "../../../src/service/domain/generation-result.ts";
import { ResumedGeneration } from "../../../src/service/jobs/resume-generation.ts";
import { assertMatches } from "../../support/assert-matches.ts";
import { chunk, eventsOf, finished, started } from "../../support/scripted-generations.ts";

const textOf = (events: ReadonlyArray<GenerationEvent>) =>
  events.map((event) => (event.type === "chunk" ? event.text : "")).join("");

/** What watchers are told of a second attempt after the first `seen` events of one before. */
const tell = (before: ReadonlyArray<GenerationEvent>, now: ReadonlyArray<GenerationEvent>) => {
  const resumed = new ResumedGeneration(before.map((event) => ({ event })));
  let told: GenerationEvent[] = [];
  let restarts = 0;
  for (const event of now) {
    const fresh = resumed.next(event);
    if (fresh !== undefined) told.push(...fresh);
    else {
      restarts += 1;
      told = [...resumed.all];
    }
  }
  return { told, restarts };
};

const texts = ["Once ", "upon ", "a ", "time 🦊"];

describe("a second attempt at a watched generation", () => {
  it("tells only what was not told before, from wherever the first one was cut", () => {
    const events = eventsOf(texts);
    for (let seen = 0; seen < events.length; seen++) {
      const before = events.slice(0, seen);
      const { told, restarts } = tell(before, events);
      assert.deepEqual([...before, ...told], events);
      assert.strictEqual(restarts, 0);
    }
  });

  it("takes a chunk apart of which a part was told", () => {
    const before = [started, chunk("Once ", 1)];
    const now = [started, { ...chunk("Once upon ", 2), tokenIds: [101, 102] }, chunk("a time", 3), finished(3)];
    const { told } = tell(before, now);
    assert.strictEqual(textOf([...before, ...told]), "Once upon a time");
    assertMatches(told[0], { text: "upon ", tokenIds: [102] });
  });

  it("begins anew where it says something else", () => {
    const { told, restarts } = tell(eventsOf(texts).slice(0, 4), eventsOf(["Once ", "more ", "!"]));
    assert.strictEqual(restarts, 1);
    assert.strictEqual(textOf(told), "Once more !");
    assert.strictEqual(told.at(0)?.type, "started");
  });

  it("begins anew where it ends sooner", () => {
    const { told, restarts } = tell(eventsOf(texts).slice(0, 4), eventsOf(["Once "]));
    assert.strictEqual(restarts, 1);
    assert.strictEqual(textOf(told), "Once ");
  });
});
