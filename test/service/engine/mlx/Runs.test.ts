import { assert, describe, it } from "@effect/vitest";

import { EmbeddingRun } from "../../../../src/service/engine/mlx/EmbeddingRun.ts";
import { Runs } from "../../../../src/service/engine/mlx/Runs.ts";

interface Entry {
  readonly name: string;
  readonly run: EmbeddingRun;
}

/** A process that notes what it is given (`+a`) and what is taken back (`-1`). */
const create = () => {
  const log: string[] = [];
  const runs = new Runs<Entry>(
    ({ name }) => void log.push(`+${name}`),
    (sequence) => void log.push(`-${sequence}`),
  );
  const add = (name: string): Entry => {
    const request = {
      promptTokenIds: [1],
      pooling: "mean",
      normalize: true,
      scheduling: { turn: 0, fairnessId: "" },
    } as const;
    const entry = { name, run: new EmbeddingRun(request, runs.nextSequence()) };
    runs.add(entry);
    return entry;
  };
  const told = (): ReadonlyArray<string> => log.splice(0);
  return { runs, add, told };
};

const names = (entries: ReadonlyArray<Entry>) => entries.map(({ name }) => name);

describe("the requests of an engine", () => {
  it("are given to its process as they come, and wait where there is none", () => {
    const { runs, add, told } = create();
    add("a");
    assert.deepEqual(told(), []);
    runs.begin();
    add("b");
    assert.deepEqual(told(), ["+a", "+b"]);
  });

  it("are tried one at a time after a death, and given again together once all have passed", () => {
    const { runs, add, told } = create();
    runs.begin();
    const [a, b, c] = [add("a"), add("b"), add("c")];
    told();
    assert.deepEqual(names(runs.loseProcess()), []);
    add("late");
    runs.begin();
    assert.deepEqual(told(), ["+a"]);
    assert.isTrue(runs.isTrial);
    const before = a.run.sequence;
    assert.isFalse(runs.passes(a), "its token is not the caller's: what is tried next must not end its stream");
    assert.notEqual(a.run.sequence, before);
    assert.deepEqual(told(), [`-${before}`, "+b"]);
    assert.isFalse(runs.passes(b));
    assert.deepEqual(told(), ["-2", "+c"]);
    assert.isTrue(runs.passes(c), "nobody is tried after it");
    assert.deepEqual(told().toSorted(), ["+a", "+b", "+late"]);
    assert.isFalse(runs.isTrial);
    assert.isTrue(runs.passes(a));
  });

  it("end alone where they die twice, and the trials go on", () => {
    const { runs, add, told } = create();
    runs.begin();
    for (const name of ["a", "b", "c"]) add(name);
    runs.loseProcess();
    told();
    runs.begin();
    const [lost, ...others] = runs.loseProcess();
    assert.deepEqual([lost?.name, others], ["a", []]);
    if (lost !== undefined) runs.remove(lost);
    runs.begin();
    assert.deepEqual(told(), ["+a", "+b"]);
  });

  it("that leave or end during their trial make way for the next", () => {
    const { runs, add, told } = create();
    runs.begin();
    const [a] = [add("a"), add("b")];
    runs.loseProcess();
    runs.begin();
    told();
    runs.remove(a);
    assert.deepEqual(told(), ["+b"]);
    assert.equal(runs.size, 1);
  });

  it("that the dead process never had are not tried", () => {
    const { runs, add, told } = create();
    runs.begin();
    runs.loseProcess();
    add("a");
    add("b");
    runs.begin();
    assert.deepEqual(told(), ["+a", "+b"]);
  });
});
