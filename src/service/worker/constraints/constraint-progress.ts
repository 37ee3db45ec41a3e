/** Where a constrained sequence stands: before, within or after its reasoning, which is free of the constraint. */
import type { SequenceConstraint } from "../constraint.ts";

/** What it needs of a sequence: tokens that come next whatever the model would choose. */
interface Forcing {
  readonly forced: number[];
}

export class ConstraintProgress {
  readonly allowsMarkers: boolean;
  private readonly reasoning: NonNullable<SequenceConstraint["reasoning"]> | undefined;
  /** `beginning`: the output may still turn out to begin with reasoning. */
  private phase: "beginning" | "reasoning" | "answering" | "bound";
  /** Tokens of the output, as far as they are needed to tell where reasoning opens and closes. */
  private readonly seen: number[] = [];
  /** Tokens that were forced and are still to come, before the constraint begins. */
  private toCome = 0;
  /** Whether the next token is the first that the grammar sees. */
  private first = true;

  constructor({ markers, reasoning }: SequenceConstraint) {
    this.allowsMarkers = markers;
    this.reasoning = reasoning;
    if (reasoning === undefined) this.phase = "bound";
    else this.phase = reasoning.begins === "open" ? "reasoning" : "beginning";
  }

  /**
   * Takes in the last token; true when the grammar is to tell what may follow.
   *
   * @param tokenId undefined where the output begins
   */
  advance(tokenId: number | undefined, sequence: Forcing): boolean {
    const { reasoning } = this;
    if (reasoning === undefined) return true;
    if (tokenId === undefined) {
      if (reasoning.begins !== "always") return this.phase === "beginning";
      sequence.forced.push(...reasoning.openTokenIds);
      this.phase = "reasoning";
      return false;
    }
    switch (this.phase) {
      case "beginning": {
        this.seen.push(tokenId);
        const { openTokenIds: open } = reasoning;
        if (this.seen.some((id, index) => id !== open[index])) this.phase = "bound";
        else if (this.seen.length === open.length) {
          this.phase = "reasoning";
          this.first = true;
        }
        return this.phase !== "reasoning";
      }
      case "reasoning":
        this.seen.push(tokenId);
        if (!endsWith(this.seen, reasoning.closeTokenIds)) return false;
        // At its limit the reasoning was closed by force, and so the answer's beginning is on its way.
        if (sequence.forced.length === 0) sequence.forced.push(...reasoning.answerTokenIds);
        this.toCome = sequence.forced.length;
        this.phase = this.toCome === 0 ? "bound" : "answering";
        return this.toCome === 0;
      case "answering":
        this.toCome -= 1;
        if (this.toCome > 0) return false;
        this.phase = "bound";
        return true;
      case "bound":
        return true;
    }
  }

  /** The token that the grammar has to take in: none where it begins. Called once after each `advance` that is true. */
  toMatch(tokenId: number | undefined): number | undefined {
    const match = this.first ? undefined : tokenId;
    this.first = false;
    return match;
  }

  /** A token that may come beside those of the grammar: the next of what opens reasoning. */
  get mayOpen(): number | undefined {
    return this.phase === "beginning" ? this.reasoning?.openTokenIds[this.seen.length] : undefined;
  }
}

const endsWith = (ids: ReadonlyArray<number>, tail: ReadonlyArray<number>): boolean =>
  tail.length > 0 && tail.every((id, index) => ids[ids.length - tail.length + index] === id);
