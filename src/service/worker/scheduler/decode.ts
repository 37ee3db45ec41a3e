/** A plain decode step: one token for each row of the batch. */
import type { PrefixCache } from "../cache/prefix-cache.ts";
import type { Constraints } from "../constraints/constraints.ts";
import { closeReasoningAtLimit } from "../sequence/reasoning-limit.ts";
import type { Unfit } from "../sequence/sequence.ts";
import { type Batch, unreadRows } from "./batch.ts";
import type { TokenChooser } from "./choose-tokens.ts";
import type { StepEvents } from "./events.ts";
import { freeRow } from "./free-row.ts";
import type { UnreadTokens } from "./read-tokens.ts";

export class Decoder {
  private readonly chooser: TokenChooser;
  private readonly constraints: Constraints | undefined;
  private readonly prefixes: PrefixCache;
  private readonly events: StepEvents;

  constructor(chooser: TokenChooser, constraints: Constraints | undefined, prefixes: PrefixCache, events: StepEvents) {
    this.chooser = chooser;
    this.constraints = constraints;
    this.prefixes = prefixes;
    this.events = events;
  }

  /**
   * Feeds the batch its tokens and starts choosing the next ones, without waiting. Returns the tokens that were fed,
   * which can then be read.
   */
  start(batch: Batch): UnreadTokens {
    const fed = { batch, rows: unreadRows(batch), next: batch.next, logprobs: batch.logprobs };
    const resting = this.feed(batch);
    this.dropUnfit(batch, fed);
    for (const row of resting) {
      // Whether the last token ends the output is only known once it is read.
      const sequence = fed.rows[row];
      if (sequence === undefined) continue;
      fed.rows[row] = undefined;
      batch.logprobs = [...batch.logprobs, ...fed.logprobs.filter(({ owners }) => owners.includes(sequence))];
    }
    return fed;
  }

  /** Returns the rows that rest. */
  private feed(batch: Batch): ReadonlySet<number> {
    if (!batch.rows.some((sequence) => sequence !== undefined && !sequence.exhausted)) {
      return this.constraints?.advance(batch.next, batch.rows) ?? new Set();
    }
    closeReasoningAtLimit(batch);
    const hidden = this.chooser.forward(batch.next.reshape(batch.rows.length, 1), batch.cache, batch.rows);
    const { next, logprobs, resting } = this.chooser.chooseAfter(hidden, 0, batch.rows, batch.next);
    Object.assign(batch, { next, logprobs });
    if (resting.size > 0) batch.cache.retract(1, keptOf(batch.rows, resting));
    return resting;
  }

  /** Ends the sequences whose constraints can no longer be enforced, and no others. */
  private dropUnfit(batch: Batch, fed: UnreadTokens): void {
    for (const [row, sequence] of batch.rows.entries()) {
      const bound = sequence?.bound;
      if (sequence === undefined || bound === undefined || bound === "fulfilled" || sequence.cancelled) continue;
      this.events.add({ type: "unconstrainable", sequence: sequence.id, reason: unfitReasons[bound] });
      freeRow(this.prefixes, batch, row);
      fed.rows[row] = undefined;
    }
  }
}

const unfitReasons: Readonly<Record<Unfit, string>> = {
  stuck: "no token of the model's vocabulary goes on with what was written",
  "too-hard": "finding the tokens that may come next takes too long: simplify it",
  failed: "it could not be held to, by a fault of the engine",
};

/** How many tokens of the fed column each row keeps: a resting row keeps none and feeds its token again. */
const keptOf = (rows: Batch["rows"], resting: ReadonlySet<number>): ReadonlyArray<number | undefined> =>
  rows.map((sequence, row) => (sequence === undefined ? undefined : resting.has(row) ? 0 : 1));
