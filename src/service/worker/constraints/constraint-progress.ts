/**
 * Tracks whether a constrained sequence is before, within or after its reasoning, to which the constraint does not
 * apply.
 */
import type { SequenceConstraint } from "../protocol/constraint.ts";

/** The part of a sequence that it uses: forced tokens, which come next whatever the model would choose. */
interface Forcing {
  readonly forced: number[];
}

export class ConstraintProgress {
  readonly allowsMarkers: boolean;
  private readonly reasoning: NonNullable<SequenceConstraint["reasoning"]> | undefined;
  /** `beginning`: the output may still begin with reasoning. */
  private phase: "beginning" | "reasoning" | "answering" | "bound";
  /** Tokens of the output, as many as are needed to recognise the opening and closing of reasoning. */
  private readonly seen: number[] = [];
  /** Forced tokens that are still to come before the constraint begins. */
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
   * Takes the last token; true if the grammar decides what may follow.
   *
   * @param tokenId undefined at the beginning of the output
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
        // At its limit the reasoning was closed by force, so the tokens before the answer are already forced.
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

  /**
   * The token that the grammar has to read; none at its beginning. Called once after each `advance` that returned true.
   */
  toMatch(tokenId: number | undefined): number | undefined {
    const match = this.first ? undefined : tokenId;
    this.first = false;
    return match;
  }

  /** A token that is allowed besides those of the grammar: the next one of the reasoning's opening. */
  get mayOpen(): number | undefined {
    return this.phase === "beginning" ? this.reasoning?.openTokenIds[this.seen.length] : undefined;
  }
}

const endsWith = (ids: ReadonlyArray<number>, tail: ReadonlyArray<number>): boolean =>
  tail.length > 0 && tail.every((id, index) => ids[ids.length - tail.length + index] === id);
