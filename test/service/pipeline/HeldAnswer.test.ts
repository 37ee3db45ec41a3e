import { assert, describe, it } from "vitest";

import type { GenerationEvent } from "../../../src/service/domain/generation-result.ts";
import { HeldAnswer } from "../../../src/service/pipeline/HeldAnswer.ts";
import { chunk, finished, started } from "../../support/scripted-generations.ts";

const hold = (streams: boolean) => {
  const told: (readonly [GenerationEvent["type"], number])[] = [];
  const answer = new HeldAnswer(
    (event) => ({ ...event, model: "another" }),
    streams,
    (event, at) => void told.push([event.type, at]),
  );
  return { answer, told };
};

describe("an answer that is held", () => {
  it("is told from its first output on, with the times of its events", () => {
    const { answer, told } = hold(true);
    answer.onEvent(started, 1);
    assert.deepStrictEqual(told, []);
    answer.onEvent(chunk("a", 1), 2);
    assert.isTrue(answer.isReleased);
    answer.onEvent(finished(1), 3);
    assert.deepStrictEqual(told, [
      ["started", 1],
      ["chunk", 2],
      ["finished", 3],
    ]);
  });

  it("is told as a whole where it does not stream, and never where it is not released", () => {
    const { answer, told } = hold(false);
    for (const event of [started, chunk("a", 1), finished(1)]) answer.onEvent(event, 1);
    assert.deepStrictEqual(told, []);
    answer.release();
    assert.lengthOf(told, 3);
  });
});
