/** A step that verifies drafts: each sequence gets the accepted tokens of its draft and one more. */
import type { Constraints } from "../constraints/constraints.ts";
import { mx, type Tensor } from "../mlx.ts";
import { type PendingLogprobs, readWanted } from "../sampling/logprobs.ts";
import type { Sequence } from "../sequence/sequence.ts";
import type { DraftedPlace } from "../speculation/drafted-place.ts";
import type { DraftPlan, Speculator } from "../speculation/speculator.ts";
import { type Drafts, layOut, readVerified, type Verification } from "../speculation/verification.ts";
import { type Batch, unreadRows } from "./batch.ts";
import type { TokenChooser } from "./choose-tokens.ts";
import type { StepEvents } from "./events.ts";
import type { MemoryPlan } from "./memory-plan.ts";
import type { TokenReader } from "./read-tokens.ts";

/** Drafts whose verification was started on the device. */
export interface Verifying {
  readonly batch: Batch;
  readonly plan: DraftPlan;
  readonly drafts: Drafts;
  readonly verification: Verification;
  /** int32: the chosen token at each place. */
  readonly chosen: Tensor;
  readonly logprobs: ReadonlyArray<PendingLogprobs<Sequence | DraftedPlace>>;
  /** When the previous tokens had been read, in milliseconds. */
  readonly since: number;
}

interface VerifierParts {
  readonly speculator: Speculator;
  readonly constraints: Constraints | undefined;
  readonly chooser: TokenChooser;
  readonly memory: MemoryPlan;
  readonly reader: TokenReader;
  readonly events: StepEvents;
  readonly now: () => number;
}

export class DraftVerifier {
  private readonly parts: VerifierParts;

  constructor(parts: VerifierParts) {
    this.parts = parts;
  }

  /**
   * Starts verifying drafts together with the batch's tokens if that is likely to pay off. Reads the batch's tokens
   * first.
   *
   * @param coming sequences that are about to join the batch
   * @returns undefined if a plain step comes next
   */
  start(batch: Batch | undefined, coming: ReadonlyArray<Sequence>): Verifying | undefined {
    const { speculator, constraints, chooser, memory, reader, now } = this.parts;
    // Masks for the tokens of a draft are not known in advance.
    if (batch !== undefined && constraints?.concerns(batch.rows) === true) return undefined;
    speculator.prepare(batch?.rows ?? []);
    const plan = batch && speculator.plan(batch.rows);
    if (batch === undefined || plan === undefined) return undefined;
    if (!memory.canWiden(batch, coming, plan.tokens + 1)) return undefined;
    reader.read({ batch, rows: unreadRows(batch), next: batch.next, logprobs: batch.logprobs });
    batch.logprobs = [];
    const since = now();
    const drafts = speculator.draft(batch.rows, plan);
    if (drafts.every((draft) => draft.length === 0)) return undefined;
    const verification = layOut(batch.rows, drafts);
    const hidden = chooser.forward(verification.tokens, batch.cache, batch.rows);
    const { places, states, width } = verification;
    const [, , size = 0] = hidden.shape;
    const picked = mx.take(hidden.reshape(batch.rows.length * width, size), states, 0);
    const { next: chosen, logprobs } = chooser.chooseDrafted(picked, places);
    return { batch, plan, drafts, verification, chosen, logprobs, since };
  }

  /** Reads the chosen tokens: the accepted part of each draft, and one more. Waits for the device. */
  finish({ batch, drafts, verification, chosen, logprobs }: Verifying): void {
    const { reader, events } = this.parts;
    const verified = readVerified(batch.rows, drafts, verification, chosen.tolist() as number[]);
    const logprobsOf = readWanted(logprobs);
    const kept = batch.rows.map((): number | undefined => undefined);
    for (const { row, tokens } of verified) kept[row] = tokens.length;
    batch.cache.retract(verification.width, kept);
    for (const { row, sequence, tokens } of verified) {
      const drafted = drafts[row]?.length ?? 0;
      if (drafted > 0) events.add({ type: "drafted", sequence: sequence.id, tokens: drafted });
      for (const [index, { tokenId, place }] of tokens.entries()) {
        sequence.chosenTokens += 1;
        const token = { tokenId, logprobs: logprobsOf.get(place), drafted: index < tokens.length - 1 };
        if (reader.accept(batch, row, sequence, token)) break;
      }
    }
    const next = batch.rows.map((sequence) => sequence?.outputTokenIds.at(-1) ?? 0);
    batch.next = mx.array(next, mx.int32);
  }
}
