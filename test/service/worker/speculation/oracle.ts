/** A speculator that knows what will come. */
import type { Sequence } from "../../../../src/service/worker/sequence/sequence.ts";
import { type DraftPlan, Speculator } from "../../../../src/service/worker/speculation/speculator.ts";

/** Drafts what it was told will come, and from some token on something else: long and short, for some rows and not others. */
export class Oracle extends Speculator {
  private readonly outputs: ReadonlyMap<number, ReadonlyArray<number>>;
  private readonly vocabularySize: number;

  /** @param outputs of each sequence what it gets without drafts */
  constructor(outputs: ReadonlyMap<number, ReadonlyArray<number>>, vocabularySize: number) {
    super("always");
    this.outputs = outputs;
    this.vocabularySize = vocabularySize;
  }

  override plan(rows: ReadonlyArray<Sequence | undefined>): DraftPlan | undefined {
    const drafts = rows.some((sequence) => sequence !== undefined && sequence.chosenTokens % 7 !== 0);
    return drafts ? { source: "lookup", tokens: 6 } : undefined;
  }

  override draft(rows: ReadonlyArray<Sequence | undefined>): ReadonlyArray<ReadonlyArray<number>> {
    return rows.map((sequence) => {
      if (sequence === undefined) return [];
      const { id, chosenTokens, draftRoom } = sequence;
      const right = (chosenTokens * 5 + id * 3) % 6;
      return (this.outputs.get(id) ?? [])
        .slice(chosenTokens, chosenTokens + Math.min(draftRoom, (chosenTokens + id) % 7))
        .map((tokenId, index) => (index < right ? tokenId : (tokenId + 1) % this.vocabularySize));
    });
  }
}
