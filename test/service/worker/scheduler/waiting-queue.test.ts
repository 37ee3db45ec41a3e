import { assert, describe, it } from "@effect/vitest";

import { Sequence } from "../../../../src/service/worker/sequence/sequence.ts";
import { WaitingQueue } from "../../../../src/service/worker/scheduler/waiting-queue.ts";
import { submission } from "../scheduler-run.ts";

const sequence = (id: number, turn: number, fairnessId = "") =>
  new Sequence(submission(id, [1], { scheduling: { turn, fairnessId } }), 0);

const orderOf = (waiting: ReadonlyArray<Sequence>, running: ReadonlyArray<Sequence> = []) => {
  const queue = new WaitingQueue();
  queue.add(...waiting);
  return [...queue.inTurn(running)].map(({ id }) => id);
};

describe("sequences that wait in the engine", () => {
  it("come when their turn is due, and equals in the order in which they came", () => {
    assert.deepEqual(orderOf([sequence(1, 100), sequence(2, 95), sequence(3, 100), sequence(4, 50)]), [4, 2, 1, 3]);
  });

  it("do not starve: one that has waited longer than another's priority is worth comes first", () => {
    const patient = sequence(1, 100);
    // Of priority 10, and eleven seconds later.
    assert.deepEqual(orderOf([sequence(2, 111 - 10), patient]), [1, 2]);
    assert.deepEqual(orderOf([sequence(2, 109 - 10), patient]), [2, 1]);
  });

  it("of a caller with many leave turns to the others", () => {
    const many = [1, 2, 3].map((id) => sequence(id, 100, "many"));
    const few = sequence(9, 100.5, "few");
    assert.deepEqual(orderOf([...many, few]), [1, 9, 2, 3]);
    assert.deepEqual(orderOf([...many, few], [sequence(7, 0, "many")]), [9, 1, 2, 3]);
  });

  it("stay in the queue until they are taken out", () => {
    const queue = new WaitingQueue();
    queue.add(sequence(1, 2), sequence(2, 1));
    assert.lengthOf([...queue.inTurn([])], 2);
    queue.drop(({ id }) => id === 2);
    assert.equal(queue.length, 1);
    assert.deepEqual(
      [...queue].map(({ id }) => id),
      [1],
    );
  });
});
